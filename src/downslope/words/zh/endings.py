"""How a run ended: verdicts in a sentence, why it diverged, and what kind of point it stopped at."""

from __future__ import annotations

VERDICTS = {
    "{kind} gap {gap}": "差距为 {gap}（{kind}）",
    "gap unknown": "差距未知",
    "{updates}, {passes}": "{updates}、{passes}",
    "converged: {where} after {work}": "已收敛：{work}之后{where}",
    "stopped by hand after {work}: {where}": "{work}之后被手动停止：{where}",
    "stopped by hand after {work}": "{work}之后被手动停止",
    "stopped by hand after {updates}": "{updates}之后被手动停止",
    ", not proved below {asked}": "，未能证明低于 {asked}",
    ", asked {asked}": "，要求为 {asked}",
    "no further progress: {where}; float arithmetic can tell no more": (
        "不再有进展：{where}；浮点运算已无法分辨更小的差别"
    ),
    "budget spent after {work}: {where}{more}": "{work}之后预算用完：{where}{more}",
    "; about {passes} would be needed": "；大约{passes}",
    "; at least {passes} would be needed": "；至少{passes}",
    "all the planned work is done: {work}": "计划的工作已全部完成：{work}",
    "all the planned work is done: {updates}": "计划的工作已全部完成：{updates}",
    "max-seconds is reached after {work}": "{work}之后到达 max-seconds 的时限",
    "max-seconds is reached after {updates}": "{updates}之后到达 max-seconds 的时限",
    "max-seconds is reached {work}": "{work}到达 max-seconds 的时限",
    "after {updates}": "{updates}之后",
    "converged: the held-out loss has not fallen for {looks}; the weights of update {update}, its lowest, are kept": (
        "已收敛：留出损失已连续 {looks}没有下降；保留它最低时（第 {update} 次更新）的权重"
    ),
    "converged: over the last {looks} the gradient's squared length, {signal}, was no more than what the noise of "
    "single rows makes of it, {noise}": (
        "已收敛：在最后 {looks}中，梯度的长度平方 {signal} 没有超过单个样本的噪声所能造成的 {noise}"
    ),
    "converged: the gradient has shrunk to {ratio} of that at the start after {work}": (
        "已收敛：{work}之后，梯度缩小到起点处的 {ratio} 倍"
    ),
    "converged: the gradient has shrunk to {ratio} of that at the start {work}": (
        "已收敛：{work}，梯度缩小到起点处的 {ratio} 倍"
    ),
    "converged to rounding: no step is lower, and the bowl here promises {gap}": (
        "已收敛到舍入误差之内：没有更低的一步，按这里的碗形最多还能下降 {gap}"
    ),
    "the gradient is zero at the start, so no rule takes a step": "起点处的梯度为零，因此任何规则都不会移动",
    "cut short at {work}": "在 {work}时提前结束",
    "diverged after {work}": "{work}之后发散",
    "diverged with {diverged} of {seeds} seeds, first after {work}": (
        "{seeds} 个随机种子中有 {diverged} 个发散，最早在 {work}之后"
    ),
    "diverged with {lost} of {seeds} within {work}": "{seeds}中有 {lost} 个在 {work}之内发散",
    "dropped after {work}: in the worse half of its batch size": "{work}之后被淘汰：在同样批大小中属于较差的一半",
    "one pass over {rows} rows: {updates} updates; partial_fit proves no gap": (
        "遍历 {rows} 行一遍：{updates} 次更新；partial_fit 不证明差距"
    ),
    "diverged at step {updates} of this pass at learning rate {rate}; the weights are left as they were; try "
    "{smaller}": "这一遍的第 {updates} 步在学习率 {rate} 下发散；权重保持原样；试试 {smaller}",
}

DIVERGENCE = {
    "diverged at step {update}: ": "在第 {update} 步发散：",
    "learning rate {rate} is above the stability limit {limit}{of} ({origin} {largest}); along that direction each "
    "step multiplies the error by {factor}": (
        "学习率 {rate} 超过了{of}稳定上限 {limit}（{origin} {largest}）；沿该方向每走一步，误差变为 {factor} 倍"
    ),
    "2 / largest curvature": "2 / 最大曲率",
    "2 (1 + momentum) / largest curvature": "2 (1 + 动量) / 最大曲率",
    "2 (1 + m) / (1 + 2 m) / largest curvature": "2 (1 + m) / (1 + 2 m) / 最大曲率",
    " of momentum {momentum}": "动量 {momentum} 的",
    " of Nesterov's momentum {momentum}": "Nesterov 动量 {momentum} 的",
    ", and {steepness}": "，并且{steepness}",
    "then any rate below {bound} is stable": "那样，低于 {bound} 的学习率都是稳定的",
    "{words}. Try {wanted}, or standardise: {stable}.": "{words}。试试 {wanted}，或者先标准化：{stable}。",
    "{words}. Try {wanted}.": "{words}。试试 {wanted}。",
    "{words}. Try {wanted}, or {larger}.": "{words}。试试 {wanted}，或者用{larger}。",
    "{words}. Try {wanted}, or the scaled method, which measures the curvature on its way.": (
        "{words}。试试 {wanted}，或者用 scaled 方法，它会在途中测量曲率。"
    ),
    "full-batch steps are stable up to a learning rate of {limit}, but {steepness}, and learning rate {rate}{added} "
    "overshoots them": "全批量步在学习率不超过 {limit} 时稳定，但{steepness}，学习率 {rate} {added}会越过它们",
    ", with {rule} adding up {steps} steps,": "（{rule}会把 {steps} 步累加起来）",
    "learning rate {rate} is within the limit {limit} of full-batch steps, and {steepness}: the noise of the batches "
    "carried the weights away": (
        "学习率 {rate} 没有超过全批量步的上限 {limit}，而{steepness}：是批次的噪声把权重带走了"
    ),
    "a larger batch": "更大的批次",
    "mini-batches": "小批量",
    "single examples are steeper than the whole: curvature up to {steepest}, {middle} in the middle": (
        "单个样本比整体更陡：曲率最大为 {steepest}，居中的为 {middle}"
    ),
    "single batches are steeper than the whole: of {seen} of {examples} the steepest has curvature {steepest}, the "
    "middle one {middle}": (
        "单个批次比整体更陡：在 {seen}（每批 {examples}）中，最陡的曲率为 {steepest}，居中的为 {middle}"
    ),
    "learning rate {rate} is so near the stability limit {limit} that its swings grew before they could settle. Try "
    "{wanted}.": "学习率 {rate} 离稳定上限 {limit} 太近，摆动还没有平息就变大了。试试 {wanted}。",
    "learning rate {rate} is within the limit {limit} at the start": "学习率 {rate} 没有超过起点处的上限 {limit}",
    "{within}, but the curvature grew": "{within}，但曲率变大了",
    ": from {largest} to {there} at the last good step, where the limit is {now}": (
        "：从 {largest} 变为最后一个正常步处的 {there}，那里的上限为 {now}"
    ),
    "{rule} divides each gradient by its own size, so no curvature limits its rate, but every weight moves by about "
    "the learning rate a step, and {rate} is too far. Try {wanted}, or leave the rate to auto.": (
        "{rule} 把每个梯度除以它自身的大小，因此没有曲率限制它的学习率；但每一步每个权重大约移动一个学习率的距离，"
        "{rate} 太远了。试试 {wanted}，或者把学习率留给 auto。"
    ),
    "the {loss} loss has a corner and no curvature, so a step is as long far from the minimum as near "
    "it, and learning "
    "rate {rate} jumps across. Try {wanted}, or leave the rate to auto.": (
        "{loss}损失有棱角而没有曲率，因此无论离最小值远近，步子都一样长，学习率 {rate} 会跳过它。"
        "试试 {wanted}，或者把学习率留给 auto。"
    ),
    "diverged at update {update}: {what} at learning rate {rate}; try {smaller}, or leave the rate to choice": (
        "在第 {update} 次更新时发散：学习率为 {rate} 时{what}；试试 {smaller}，或者让学习率自动选择"
    ),
    "diverged at every rate from {rate} down": "从 {rate} 往下的每个学习率都发散",
    "diverged at every rate from {highest} to {lowest}": "从 {highest} 到 {lowest} 的每个学习率都发散",
    "diverged: a slope or a curvature is not a number {work}": "发散：{work}，斜率或曲率不再是数",
    "the loss is {loss} times the start's": "损失是起点处的 {loss} 倍",
    "the loss is {loss}": "损失为 {loss}",
    "the loss is not a number": "损失不再是数",
    "the loss of finite scores is not a number": "得分有限，损失却不再是数",
    "layer last gave scores that are not finite": "输出层给出的得分不是有限的数",
    "layer hidden.{index} gave numbers that are not finite": "层 hidden.{index} 给出的数不是有限的",
    "the gradient of layer {layer} is not finite": "层 {layer} 的梯度不是有限的",
}

STOP_POINTS = {
    "a minimum: Newton's step lowers the loss by {drop} at most, and {shape} (curvatures from {lowest} to {highest})": (
        "最小值：牛顿步最多使损失下降 {drop}，而且{shape}（曲率从 {lowest} 到 {highest}）"
    ),
    "no direction curves down": "没有向下弯的方向",
    "the direction that curves down gains nothing": "向下弯的方向得不到任何进展",
    "a saddle: the gradient is all but zero, yet one direction curves down by {smallest}, and the loss "
    "falls by {fall} "
    "along it within a distance of {distance}": (
        "鞍点：梯度几乎为零，但有一个方向向下弯，曲率为 {smallest}，沿着它在距离 {distance} 之内损失下降 {fall}"
    ),
    "a plateau: a slope of {gradient} and curvatures up to {largest} change the loss by less than {negligible} within "
    "a distance of {reach}": (
        "高原：斜率为 {gradient}、曲率不超过 {largest}，在距离 {reach} 之内只能使损失改变不到 {negligible}"
    ),
    "the noise floor: the gradient, {gradient}, is less than its scatter over batches of {batch}, {noise}; larger "
    "batches or a smaller learning rate could still lower the loss by {drop}": (
        "噪声底：梯度 {gradient} 小于它在每批 {batch} 个样本的批次之间的波动 {noise}；"
        "更大的批次或更小的学习率还能使损失下降 {drop}"
    ),
    "no stop: the learning rate {rate} is small beside the stability limit {limit}; an update lowers the "
    "loss by about "
    "{expected}, and it can still fall by {drop} or more": (
        "没有停下：学习率 {rate} 与稳定上限 {limit} 相比太小；每次更新使损失下降约 {expected}，"
        "而它还可以下降 {drop} 或更多"
    ),
    "no stop: the gradient is {gradient}, and the loss can still fall by {drop} or more": (
        "没有停下：梯度为 {gradient}，损失还可以下降 {drop} 或更多"
    ),
    "the gradient is not a number there": "那里的梯度不是数",
    "a curvature is not a number there": "那里有曲率不是数",
    "its curvature cannot be computed ({reason})": "它的曲率无法计算（{reason}）",
    "not known: {why}": "未知：{why}",
    "{whole} measured: curvatures from {smallest} to {largest}, gradient {norm}": (
        "{whole}：曲率从 {smallest} 到 {largest}，梯度为 {norm}"
    ),
    "all {size} directions were": "全部 {size} 个方向都已测量",
    "its only direction was": "唯一的方向已测量",
    "; the bowl that fits there falls by another {gap}": "；与那里相合的碗形还会下降 {gap}",
    "; of {size} directions the outermost alone were looked for": "；{size} 个方向中只寻找了曲率最大和最小的",
    "{rows} of {examples}": "{examples}中的 {rows} 个",
    "{reason}; the curvature is that of {some}": "{reason}；曲率是在 {some}上测得的",
    "{reason}; that is by {some}, and the loss of all falls by {fall} on the way they point": (
        "{reason}；这是根据 {some}，沿它们所指的方向，全部样本的损失下降 {fall}"
    ),
    "not known: by {some} the loss could still fall by {drop}, but {less}": (
        "未知：根据 {some}，损失还可以下降 {drop}，但{less}"
    ),
    "that of all falls by {fall} alone on the way they point, which is next to nothing": (
        "沿它们所指的方向，全部样本的损失只下降 {fall}，几乎等于没有"
    ),
    "a saddle, though a shallow one: one direction curves down by {smallest}, and the loss falls by {fall} along it "
    "within a distance of {distance}": (
        "鞍点，不过很浅：有一个方向向下弯，曲率为 {smallest}，沿着它在距离 {distance} 之内损失下降 {fall}"
    ),
    "a minimum, but all but level in some direction: Newton's step lowers the loss by {drop} at most, and {level_by}": (
        "最小值，但在某个方向上几乎是平的：牛顿步最多使损失下降 {drop}，而{level_by}"
    ),
    "the lowest curvature found, {smallest} beside {largest}": "找到的最小曲率 {smallest}（最大为 {largest}）",
    "along {lowest}, it falls by {fall}, which is next to nothing": "沿{lowest}的方向，损失下降 {fall}，几乎等于没有",
    "{lowest}, is small beside the slope of {slope}": "{lowest}与斜率 {slope} 相比很小",
    "{lowest}, cannot be told from none (its error is {error})": "{lowest}无法与零区分（其误差为 {error}）",
}

SURFACES = {
    "The same curvature every way: the gradient points at the minimum, and rate 0.5 lands on it in one step.": (
        "各个方向的曲率相同：梯度正对着最小值，学习率 0.5 一步就能到达。"
    ),
    "Curvatures of 1 and 100: a rate that is safe across, below 0.02, is slow along, and momentum makes up for it.": (
        "曲率为 1 和 100：横向安全的学习率（低于 0.02）在纵向上很慢，动量可以弥补。"
    ),
    "The gradient is zero at (0, 0) and yet it is no minimum: only a start with y exactly 0 stays there.": (
        "(0, 0) 处的梯度为零，却不是最小值：只有 y 恰好为 0 的起点会停在那里。"
    ),
    "Far out the slope is all but zero: a small gradient need not mean that a minimum is near.": (
        "远处的斜率几乎为零：梯度小，不一定说明最小值就在附近。"
    ),
    "A minimum in every cell: where small steps end depends on the start alone.": (
        "每一格都有一个最小值：小步子停在哪里，只取决于起点。"
    ),
    "Four minima of equal value: which one is reached depends on the start, and on the length of the steps.": (
        "四个同样低的最小值：到达哪一个，取决于起点和步子的长短。"
    ),
    "A bent valley with steep sides: descent finds its floor at once, and then takes thousands of steps along it.": (
        "一条两侧陡峭的弯谷：下降法很快就到谷底，然后要沿着谷底走上千步。"
    ),
    "Steep corners around an almost flat middle: no one rate suits both, unless the rule adapts it.": (
        "四角陡峭，中间几乎是平的：没有一个学习率同时适合两者，除非规则会自行调整。"
    ),
    "Ripples on a funnel with a pointed tip: small steps stop in a ripple, and at the tip the slope never fades.": (
        "漏斗上布满波纹，底部是尖的：小步子会停在某个波纹里，而在尖底处斜率始终不会变小。"
    ),
    "Six minima, of which two are lowest: the best that a run has found is not the best there is.": (
        "六个最小值，其中两个最低：一次运行找到的最好，并不一定就是最好的。"
    ),
    "From x = 2, rate 0.05 stays in the shallow valley, 0.3 steps over the ridge into the deep one, and "
    "0.6 jumps over "
    "both and away.": ("从 x = 2 出发，学习率 0.05 留在浅谷里，0.3 跨过山脊进入深谷，0.6 则跳过两个谷，一去不返。"),
}
