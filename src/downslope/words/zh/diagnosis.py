"""What is the matter with a run, how we know, and what to do: the rules of ``downslope.diagnosis``."""

from __future__ import annotations

DESCENT = {
    # DS101 above_limit
    "Learning rate above the stability limit": "学习率超过稳定上限",
    "learning rate {rate} is above the stability limit {limit} ({origin} / largest curvature {largest})": (
        "学习率 {rate} 超过了稳定上限 {limit}（{origin} / 最大曲率 {largest}）"
    ),
    "2 (1 + momentum)": "2 (1 + 动量)",
    "2 (1 + momentum) / (1 + 2 momentum)": "2 (1 + 动量) / (1 + 2 动量)",
    "; along that direction each step multiplies the error by {growth}": "；沿该方向每走一步，误差变为 {growth} 倍",
    "try --learning-rate {rate}, or leave it to auto": "试试 --learning-rate {rate}，或者留给 auto",
    ", or standardise{stable}": "，或者先标准化{stable}",
    ": then any rate below {bound} is stable": "：那样，低于 {bound} 的学习率都是稳定的",
    # DS102 steep_batches
    "Single batches are steeper than the whole": "单个批次比整体更陡",
    "learning rate {rate} is within the stability limit {limit} of full-batch steps, so it was the batches of "
    "{examples}, some of them steeper than the whole, that threw it out": (
        "学习率 {rate} 没有超过全批量步的稳定上限 {limit}；把权重甩出去的是每批 {examples}的批次，其中有些比整体更陡"
    ),
    "try --learning-rate {rate}, a batch size above {batch}, or leave both to auto": (
        "试试 --learning-rate {rate}，或大于 {batch} 的批大小，或者把两者都留给 auto"
    ),
    # DS103 curvature_grew
    "The curvature grew on the way": "曲率在途中变大了",
    "learning rate {rate} is within the stability limit {limit} measured at the start, where the {loss} loss is "
    "flatter than further down": "学习率 {rate} 没有超过在起点测得的稳定上限 {limit}，但{loss}损失在起点处比下方更平",
    "try --learning-rate {rate}, or --method scaled, which measures the curvature again": (
        "试试 --learning-rate {rate}，或者用会重新测量曲率的 --method scaled"
    ),
    # DS104 far_below_limit
    "Learning rate far below the stability limit": "学习率远低于稳定上限",
    "learning rate {rate} is {times} times below the stability limit {limit}": (
        "学习率 {rate} 远低于稳定上限 {limit}，后者是它的 {times} 倍"
    ),
    "; going by the pace so far, at least {more} are needed": "；按目前的速度，至少{more}",
    "try --learning-rate {rate}, with which a pass goes {times} times as far, or auto": (
        "试试 --learning-rate {rate}，这样每一遍能走 {times} 倍远；或者用 auto"
    ),
    # DS105 batch_noise
    "Down to the noise of the batches": "已降到批次噪声的水平",
    "over the last quarter of the run the objective no longer fell but scattered by {scatter} of the whole drop, with "
    "a constant learning rate and batches of {examples}": (
        "在运行的最后四分之一，目标函数不再下降，只以总降幅的 {scatter} 上下波动；学习率不变，每批 {examples}"
    ),
    "let the rate fall (--schedule inverse), average the iterates (--average), or take --batch-size {larger}": (
        "让学习率逐步下降（--schedule inverse），对迭代取平均（--average），或者用 --batch-size {larger}"
    ),
    # DS106 budget
    "The budget ended first": "预算先用完了",
    "ended after {spent} at {reached}, before the tolerance {tolerance}": (
        "用完 {spent}之后，到达的是{reached}，还没有达到容差 {tolerance}"
    ),
    "{time} and {passes}": "{time} 和 {passes}",
    "gap {gap}": "差距 {gap}",
    "objective {objective}": "目标函数值 {objective}",
    "the held-out loss was still falling when the {spent} ended: from {before} to {last} at the last "
    "look, its lowest": ("{spent}用完时，留出损失仍在下降：最后一次查看时从 {before} 降到 {last}，为全程最低"),
    "try --epochs {epochs}": "试试 --epochs {epochs}",
    "allow more --max-seconds": "给 --max-seconds 更多的时间",
    "try --method scaled, whose steps do not depend on the condition, here {condition}": (
        "试试 --method scaled，它的步子不受条件数影响，这里的条件数为 {condition}"
    ),
    "give it more time (--epochs, --max-seconds), or accept a larger --tolerance": (
        "给它更多的时间（--epochs、--max-seconds），或者接受更大的 --tolerance"
    ),
    "try --max-seconds {seconds}, or accept a larger --tolerance": (
        "试试 --max-seconds {seconds}，或者接受更大的 --tolerance"
    ),
    "try --epochs {epochs}, or accept a larger --tolerance": "试试 --epochs {epochs}，或者接受更大的 --tolerance",
    # DS107 stopped
    "Stopped by hand": "已手动停止",
    "stopped by hand after {updates} and {passes}": "在 {updates}、{passes}之后被手动停止",
    " at gap {gap}": "，此时差距为 {gap}",
    "the weights reached so far are kept and can predict; where the run was long enough for a checkpoint, downslope "
    "resume finishes it, and fit begins anew": (
        "已到达的权重会保留，并且可以用来预测；如果运行得够久、写下了检查点，downslope resume 可以接着算完，"
        "而 fit 会从头开始"
    ),
    # DS108 arithmetic
    "Rounding hides the rest of the way": "舍入误差遮住了剩下的路",
    "at {reached} the steps no longer lowered the objective, short of the tolerance {tolerance}": (
        "走到{reached} 时，再走也不能降低目标函数，而容差 {tolerance} 尚未达到"
    ),
    "accept a larger --tolerance{finer}": "接受更大的 --tolerance{finer}",
    ", or set --precision float64": "，或者设置 --precision float64",
}

SLOPE = {
    # DS201 unscaled
    "Columns of unlike size": "各列的大小相差悬殊",
    "the condition is {before} as the columns are and {after} once they are scaled; plain steps need about that many "
    "times as long": "各列原样时条件数为 {before}，缩放之后为 {after}；普通下降所需的时间大致与条件数成正比",
    "leave out --no-standardize": "去掉 --no-standardize",
    # DS202 ill_conditioned
    "Columns that nearly repeat each other": "有些列几乎互相重复",
    "condition {condition}": "条件数为 {condition}",
    "condition beyond 1e16": "条件数超过 1e16",
    "{size} after scaling: up to {lost} of the {digits} digits of float64 can be lost in the coefficients": (
        "缩放之后{size}：系数可能丢失 float64 的 {digits} 位有效数字中的多达 {lost} 位"
    ),
    "leave out columns that follow from others (centre a column before taking its powers), or set --l2; predictions "
    "on similar rows are far less affected": (
        "去掉可以由其他列推出的列（取幂之前先把该列中心化），或者设置 --l2；对相似的行，预测受到的影响要小得多"
    ),
}

DATA = {
    # DS301 separable
    "The classes do not overlap": "各类别互不重叠",
    "all {rows} are classified without error and l2 is {l2}, so larger weights always lower the loss and their size "
    "means little": "全部 {rows}都分类正确，而 l2 为 {l2}，因此权重越大损失总是越低，权重的大小没有多少意义",
    "set --l2 {l2} or more if the coefficients or probabilities are to be read": (
        "如果要解读系数或概率，请把 --l2 设为 {l2} 或更大"
    ),
    # DS302 imbalance
    "Accuracy says little here": "准确率在这里说明不了什么",
    "always answering the most common class is right for {baseline} % of the rows; the model is right for "
    "{accuracy} %": "总是回答最常见的类别，就能答对 {baseline} % 的行；模型答对 {accuracy} %",
    "judge by the log loss or the area under ROC; if the rare class matters more, set --class-weight balanced": (
        "请看对数损失或 ROC 曲线下面积；如果少见的类别更重要，设置 --class-weight balanced"
    ),
    # DS303 missing_values
    "Many values missing": "缺失值很多",
    "{names}: up to {part} of the values are missing, in {columns} of {all} columns in use": (
        "{names}：所用的 {all} 列中有 {columns} 列缺失值较多，最多缺失 {part}"
    ),
    "find out why they are missing; --drop the column if it is recorded only after the answer is known": (
        "弄清为什么缺失；如果某列是在答案已知之后才记录的，用 --drop 去掉它"
    ),
    # DS304 columns_left_out
    "Columns left out": "有些列没有使用",
    "{names} ({reason})": "{names}（{reason}）",
    "nothing to do if that is right; if a column should count, change its values or its type in the source": (
        "如果这样没错，就不必做什么；如果某列应当起作用，请在数据来源中修改它的值或类型"
    ),
    # DS305 target_missing
    "Rows without a target": "有些行没有目标值",
    '{rows}, {part} of those read, were dropped because "{target}" is null': (
        "{rows}（占读入行数的 {part}）因为“{target}”为空而没有使用"
    ),
    "check that the rows without an answer are like the others; if not, the model does not speak for them": (
        "请确认没有答案的行与其他行相似；如果不相似，模型就不能代表它们"
    ),
}

SCORES = {
    # DS401 no_better
    "No better than the baseline": "没有比基线更好",
    "{score} {reached} on {rows}, against {baseline} for an answer that looks at no column, although {ended}": (
        "在 {rows}上{score}为 {reached}，而不看任何一列的答案为 {baseline}，尽管{ended}"
    ),
    "the training had converged": "训练已经收敛",
    "the minimum was reached": "已经到达最小值",
    "see whether --model linear does better: if it does, this network is at fault (try another --learning-rate or "
    "--start), and if not, the examples may say little about the target": (
        "看看 --model linear 是否更好：如果更好，问题在这个网络（换一个 --learning-rate 或 --start 试试）；"
        "如果没有更好，也许这些样本与目标关系不大"
    ),
    "the pixels say little about the target in a linear way: try --model cnn": (
        "像素与目标之间几乎没有线性关系：试试 --model cnn"
    ),
    "the columns say little about the target in a linear way: add columns, or combine those there are": (
        "各列与目标之间几乎没有线性关系：请增加列，或者把已有的列组合起来"
    ),
    # DS402 overfit
    "Learned the training rows by heart": "把训练行背了下来",
    "{score} {train} on training rows but {holdout} on held-out ones: {lost} of the gain is lost; there are only "
    "{rows} rows for each weight": (
        "{score}在训练行上为 {train}，在留出行上却为 {holdout}：所得的进步丢掉了 {lost}；每个权重只有 {rows} 行数据"
    ),
    "try {larger}, leave out columns, or train on more rows": "试试 {larger}，去掉一些列，或者用更多的行训练",
    "try {fewer}{larger} or fewer units in --model, or train on more rows": (
        "试试 {fewer}{larger}，或在 --model 中减少单元，或者用更多的行训练"
    ),
    "--dropout {part}, ": "--dropout {part}、",
    "--l2 {l2}": "--l2 {l2}",
    "a larger --l2": "--l2（取更大的值）",
    # DS403 drift
    "The held-out part is unlike the rest": "留出部分与其余部分不同",
    '{score} {train} on training rows but {holdout} on those held out by "{column}": {lost} of the gain is lost, with '
    "{rows} rows for each weight, too many for chance": (
        "{score}在训练行上为 {train}，在按“{column}”留出的行上却为 {holdout}：所得的进步丢掉了 {lost}；"
        "每个权重有 {rows} 行数据，这不会是偶然"
    ),
    'look for columns whose meaning changes with "{column}", or train on rows nearer to those to be predicted': (
        "找一找含义随“{column}”而变的列，或者用更接近待预测数据的行来训练"
    ),
    # DS404 answer_given_away
    "A column may give the answer away": "有一列可能泄露了答案",
    '{score} {value} on held-out rows, and "{feature}" is more than {times} times stronger than any other feature': (
        "在留出行上{score}为 {value}，而“{feature}”的强度是其他任何特征的 {times} 倍以上"
    ),
    'if "{feature}" is known only once the answer is, leave its column out with --drop': (
        "如果“{feature}”要在答案已知之后才知道，请用 --drop 去掉这一列"
    ),
}
