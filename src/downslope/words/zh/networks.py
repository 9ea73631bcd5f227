"""What is the matter with a network's run: the rules DS5xx of ``downslope.diagnosis``."""

from __future__ import annotations

NETWORKS = {
    # DS501 same_units
    "All units of a layer are one": "一层中的单元完全相同",
    "from --start {start} the units of a layer begin alike and get the same gradient, so that they stay alike: after "
    "{updates} the rank of the gradient is {ranks}": (
        "从 --start {start} 出发，同一层的单元起点相同，得到的梯度也相同，因此永远相同：{updates}之后，梯度的秩{ranks}"
    ),
    "{rank} for the {units} units of {layer}": "在 {layer} 的 {units} 个单元上为 {rank}",
    " and ": "，",
    "try --start {start}, which gives each unit weights of its own": "试试 --start {start}，它让每个单元有各自的权重",
    # DS502 dead_units
    "Dead units": "死单元",
    "at update {update} units are zero for all {rows} examples looked at, and no gradient comes back through them: "
    "{counts} (up to {worst} of a layer)": (
        "第 {update} 次更新时，有些单元对所看的全部 {rows} 个样本都为零，没有梯度能经过它们传回："
        "{counts}（最多占一层的 {worst}）"
    ),
    "{dead} of {units} in {layer}": "{layer} 的 {units} 个单元中有 {dead} 个",
    "--activation leaky-relu, whose units always let some gradient back": (
        "--activation leaky-relu，它的单元总会让一部分梯度传回"
    ),
    "try --learning-rate {rate}: at update {update} the rate was {times} times the limit measured there, and steps "
    "that long throw units out of reach; or {other}": (
        "试试 --learning-rate {rate}：第 {update} 次更新时，学习率是当时测得上限的 {times} 倍，"
        "这么长的步子会把单元甩到够不着的地方；或者用 {other}"
    ),
    "try {other}{smaller}": "试试 {other}{smaller}",
    ", or --learning-rate {rate}": "，或者 --learning-rate {rate}",
    # DS503 diverged_above_limit
    "Learning rate above the limit of the curvature": "学习率超过曲率允许的上限",
    "{factor} / largest curvature {curvature}": "{factor} / 最大曲率 {curvature}",
    "learning rate {rate} is {times} times the limit {limit} of {rule} steps ({origin}), measured at update {update}: "
    "such steps grow, and the loss left at update {last}": (
        "学习率 {rate} 是第 {update} 次更新时测得的上限 {limit} 的 {times} 倍（规则：{rule}；上限 = {origin}）："
        "这样的步子会越走越大，到第 {last} 次更新时损失已经失控"
    ),
    "try --learning-rate {rate}": "试试 --learning-rate {rate}",
    ", or leave it to auto": "，或者留给 auto",
    # DS504 saddle
    "Ended at a saddle": "停在鞍点上",
    "the gradient is {gradient}, as at a minimum, but one direction curves down by {curvature}, and along it the loss "
    "falls by {fall} within a distance of {distance}": (
        "梯度为 {gradient}，与最小值处一样小，但有一个方向以曲率 {curvature} 向下弯，"
        "沿着它在距离 {distance} 之内损失下降 {fall}"
    ),
    "try another start (--seed {seed}){noise}": "换一个起点试试（--seed {seed}）{noise}",
    ", or --batch-size {batch}, whose noise pushes off a saddle": (
        "，或者 --batch-size {batch}，它的噪声能把权重推离鞍点"
    ),
    # DS505 plateau
    "Ended on a plateau": "停在高原上",
    "with {left} of the start's loss left, a slope of {slope} and curvatures up to {curvature} change it by less than "
    "{fall} within a distance of {reach}": (
        "损失还剩起点处的 {left}，而斜率为 {slope}、曲率不超过 {curvature}，在距离 {reach} 之内只能使损失改变不到 "
        "{fall}"
    ),
    "try {others}": "试试：{others}",
    ", or ": "，或者 ",
    "standardised columns (leave out --no-standardize)": "把各列标准化（去掉 --no-standardize）",
    "--activation relu, which does not go flat for large scores": "--activation relu，它在得分很大时也不会变平",
    "--normalisation batch, which keeps units where they bend": "--normalisation batch，它让单元留在有弯曲的地方",
    "--rule adam, whose steps do not shrink with the slope": "--rule adam，它的步子不随斜率变小",
    "another start (--seed {seed})": "换一个起点（--seed {seed}）",
    # DS506 noise_floor
    "the gradient, {gradient}, is less than its scatter over batches of {examples}, {scatter}: at the constant "
    "learning rate {rate} {undone}, though the loss could still fall by {fall}": (
        "梯度为 {gradient}，小于它在每批 {examples}的批次之间的波动 {scatter}："
        "学习率保持 {rate} 不变时{undone}，尽管损失还可以下降 {fall}"
    ),
    "the loss no longer falls": "损失不再下降",
    "noise takes back {lost} of a step's gain": "噪声会抵消每一步进展的 {lost}",
    "let the rate fall (--schedule cosine){slower}{larger}": "让学习率逐步下降（--schedule cosine）{slower}{larger}",
    ", try --learning-rate {rate}": "，试试 --learning-rate {rate}",
    ", or take --batch-size {batch}": "，或者用 --batch-size {batch}",
    # DS507 small_rate
    "learning rate {rate} is {times} times below the stability limit {limit} where the run ended, and the loss can "
    "still fall by {fall}{pace}": (
        "学习率 {rate} 远低于运行结束处的稳定上限 {limit}，后者是它的 {times} 倍，而损失还可以下降 {fall}{pace}"
    ),
    ": at the pace of an update there that takes {updates} more": "：按那里每次更新的速度，还要 {updates} 次更新",
    "try --learning-rate {rate}{gain}{auto}": "试试 --learning-rate {rate}{gain}{auto}",
    ", with which an update gains {times} times as much there": "，在那里每次更新的进展是现在的 {times} 倍",
    "part": "一部分",
    # DS508 unlike_gradients
    "The gradient fades from layer to layer": "梯度逐层消失",
    "The gradient swells from layer to layer": "梯度逐层膨胀",
    "at update {update} the gradient of {slow} is {gradient} for weights of length {weights}, that of {fast} "
    "{other_gradient} for {other_weights}: one rate moves the second {times} further, as a share of itself": (
        "第 {update} 次更新时，{slow} 的梯度为 {gradient}（权重长度 {weights}），"
        "{fast} 的梯度为 {other_gradient}（权重长度 {other_weights}）："
        "按各自权重的比例，同一个学习率使后者移动的距离是前者的{times}"
    ),
    "{times} times": "{times} 倍",
    "infinitely": "无穷多倍",
    "--normalisation batch": "--normalisation batch",
    "--activation relu with --start he": "--activation relu 加上 --start he",
    "--start he": "--start he",
    "--rule adam, which moves all layers alike": "--rule adam，它让各层移动得差不多快",
    "fewer layers in --model": "在 --model 中减少层数",
    # DS509 redundant_batch
    "Most examples of a batch repeat the others": "一批中的多数样本只是重复其他样本",
    "batches of {batch} examples, where the gradient's noise scale was {scale} (95 %: {low} to {high}) {when}": (
        "每批 {batch} 个样本，而梯度的噪声尺度{when}为 {scale}（95 %：{low} 到 {high}）"
    ),
    "at update {update}{most}{late}": "在第 {update} 次更新时{most}{late}",
    ", the most of {looks} looks": "（{looks} 次测量中最大）",
    ", and the budget was spent on {updates}": "（预算共用于 {updates}）",
    "try --batch-size {smaller}: for the same progress there about {examples} times fewer examples, in {updates} "
    "times as many updates; or leave it to auto, which weighs the time of a step as well": (
        "试试 --batch-size {smaller}：在那里取得同样的进展，所用样本约为现在的 1/{examples}，"
        "更新次数为现在的 {updates} 倍；或者留给 auto，它还会考虑一步所需的时间"
    ),
    # DS510 noisy_batch
    "Steps are mostly noise": "步子大半是噪声",
    "batches of {batch} against a noise scale of at least {low} examples (the lower end of its 95 % interval, at each "
    "of {looks} looks): {part} of the squared length of a step is noise": (
        "每批 {batch} 个样本，而噪声尺度至少为 {low} 个样本（95 % 区间的下端，{looks} 次测量都如此）："
        "一步的长度平方中有 {part} 是噪声"
    ),
    "try --batch-size {larger}, with which an update can go {further} times as far (a new rate goes with it: leave "
    "--learning-rate to auto)": (
        "试试 --batch-size {larger}，这样每次更新能走 {further} 倍远（学习率也要随之改变：把 --learning-rate 留给 "
        "auto）"
    ),
    # DS511 clipped
    "Most gradients were shortened": "大多数梯度被截短了",
    "--clip {clip} shortened {shortened} of {updates} gradients ({part}){known}: {so}": (
        "--clip {clip} 截短了 {updates} 个梯度中的 {shortened} 个（{part}）{known}：{so}"
    ),
    ", whose usual length was {usual}": "，梯度通常的长度为 {usual}",
    "with the learning rate, the clip set the length of the steps, and not the slope": (
        "决定步长的是学习率和截断，而不是斜率"
    ),
    "steep and less steep places counted alike": "陡的地方和不太陡的地方被同等对待",
    "try to leave it out": "试试不用它",
    "try --clip {clip}, which meets only what stands out, or leave it out": (
        "试试 --clip {clip}，它只截断特别大的梯度；或者不用它"
    ),
}
