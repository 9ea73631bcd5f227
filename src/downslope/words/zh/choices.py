"""Why each setting became what it did: the reasons of ``downslope.choices``, and of choices made elsewhere."""

from __future__ import annotations

CHOICES = {
    # the method
    "a rule or a learning rate was given, and scaled steps choose their own": (
        "指定了规则或学习率，而 scaled 方法的步子由它自己决定"
    ),
    "a batch size was given": "指定了批大小",
    "the objective is {shape}, and {size} costs about as much as a few passes": (
        "目标函数是{shape}，而{size}所需的计算与遍历几遍数据差不多"
    ),
    "a bowl": "碗形的",
    "a bowl, its corners rounded": "碗形的，棱角已磨圆",
    "a Hessian of {size} x {size}": "一个 {size} x {size} 的海森矩阵",
    "the diagonal of the Hessian": "海森矩阵的对角线",
    "of {rows} examples a few at a time tell the slope": "在 {rows} 个样本中，每次只看少数几个就能知道斜率",
    "a rule or a rate is named": "指定了规则或学习率",
    "the Hessian of {size} numbers is too large": "{size} 个数的海森矩阵太大",
    "the Hessian of {numbers} is small": "{numbers}的海森矩阵很小",
    # the rule
    "each weight's step is divided by the size of its own gradients, so that one rate serves all layers": (
        "每个权重的步子除以它自身梯度的大小，因此同一个学习率适用于所有的层"
    ),
    "the gradient itself brings {share} of the raced starts to where it is zero": (
        "仅靠梯度本身，就有 {share} 的参赛起点到达梯度为零的地方"
    ),
    "{share} of the raced starts arrive, with the plain rule {other}": (
        "参赛起点中有 {share} 能够到达，而普通下降只有 {other}"
    ),
    # the penalty, and the corner of the Huber loss
    "the squared loss has a minimum, and a proof of it, without a penalty": "平方损失无需惩罚就有最小值，并且可以证明",
    "1 / n for {size} examples: weak enough to leave the fit alone, and the minimum can be proved": (
        "{size} 个样本时取 1 / n：弱到不影响拟合，又使最小值可以证明"
    ),
    "of {penalties} penalties the lowest loss on {held} rows set aside: {columns} columns are many for {rows} rows": (
        "{penalties} 个惩罚中在留出的 {held} 行上损失最低的一个：对 {rows} 行来说 {columns} 列算多"
    ),
    "{deviations} robust deviations of the target, which is {deviation} around its median": (
        "目标的 {deviations} 个稳健标准差；目标在中位数附近的稳健标准差为 {deviation}"
    ),
    # the learning rate
    "1, times the inverse of the diagonal of the Hessian: there are too many features for more": (
        "1，乘以海森矩阵对角线的倒数：特征太多，用不了整个矩阵"
    ),
    "1, times the inverse Hessian measured on {rows} rows: the step that a bowl needs": (
        "1，乘以在{rows}行上测得的海森矩阵的逆：这正是碗形所需要的一步"
    ),
    "{sampled} sampled": "抽取的 {sampled}",
    "all": "全部",
    "2 / (largest + smallest curvature) = 2 / ({largest} + {smallest})": (
        "2 / (最大曲率 + 最小曲率) = 2 / ({largest} + {smallest})"
    ),
    "1 / {largest}, the largest curvature that the {loss} loss can have on these examples": (
        "1 / {largest}，即{loss}损失在这些样本上可能有的最大曲率的倒数"
    ),
    "the lowest loss of {rates} rates raced for {updates} updates with the {rule} rule": (
        "让 {rates} 个学习率赛跑 {updates} 次更新（规则：{rule}），取损失最低的那个"
    ),
    "the lowest loss of {rates} rates run side by side on the same batches, the worse half dropped {times} times": (
        "让 {rates} 个学习率在相同的批次上并排运行，先后 {times} 次淘汰较差的一半，取损失最低的那个"
    ),
    "the smallest of {rates} rates, raced over the first {updates} updates, whose loss fell at least "
    "{share} as far as "
    "the best": (
        "让 {rates} 个学习率在最初 {updates} 次更新中赛跑，取损失降幅至少达到最好者 {share} 的学习率中最小的那个"
    ),
    "; it is {part} of the stability limit measured there, {limit}": "；它是当时测得的稳定上限 {limit} 的 {part} 倍",
    "; halved {times} where it diverged later": "；之后因发散而减半 {times}",
    "the lowest loss of {rates} rates run side by side for the first {first}": (
        "让 {rates} 个学习率在最初 {first}中并排运行，取损失最低的那个"
    ),
    "the smallest of {rates} rates, to within 1 %, that bring most starts ({share}) to where the gradient is zero in "
    "{steps}": "{rates} 个学习率中，能在 {steps}之内把最多的起点（{share}，允许相差 1 %）带到梯度为零处的最小的那个",
    "the one of {rates} rates whose starts come lowest; none brings them to where the slope is zero": (
        "{rates} 个学习率中让起点降得最低的那个；没有一个能把它们带到斜率为零的地方"
    ),
    "batches of {batch}: rows of mean squared length {length}, largest second moment {largest}, curvature of the loss "
    "{bend}": "每批 {batch} 行：行的长度平方平均为 {length}，最大二阶矩为 {largest}，损失的曲率为 {bend}",
    "the lowest loss of {rates} rates over {rows} examples, each scored before its step": (
        "{rates} 个学习率在 {rows} 个样本上的损失中最低的那个，每个样本都在走步之前先打分"
    ),
    # the batch size
    "sparse rows share few weights, so a few slopes at once cost less and change nothing else": (
        "稀疏的行很少共用权重，因此一次算几个斜率更省时间，而别的都不变"
    ),
    "the gradient's noise scale at the start is {scale} examples, and a step costs as much as reading {examples} of "
    "them": "起点处梯度的噪声尺度为 {scale} 个样本，而走一步所需的时间相当于读取 {examples} 个样本",
    "the gradient's noise scale {when} is {measured}, and a step costs as much as {examples} of them; "
    "the largest size "
    "within {share} of the smallest predicted time, since noise grows along a run": (
        "{when}梯度的噪声尺度{measured}，而走一步所需的时间相当于 {examples} 个样本；"
        "取预计时间比最短者多不超过 {share} 的最大批大小，因为噪声会在运行途中增大"
    ),
    "at the start": "起点处",
    "after {updates} trial updates": "{updates} 次试探更新之后",
    "{scale} examples (95 %: {low} to {high})": "为 {scale} 个样本（95 %：{low} 到 {high}）",
    "above {low} examples": "大于 {low} 个样本",
}
