"""What can be wrong with what was asked: settings, models, expressions, surfaces, and runs to predict with."""

from __future__ import annotations

SETTINGS = {
    'there is no setting called "{name}"{nearest}': "没有名为“{name}”的设置{nearest}",
    "{name} must be {allowed}, not {value}{hint}": "{name} 必须是{allowed}，而不是 {value}{hint}",
    "a whole number": "整数",
    "a number": "数",
    " above {low}": "（大于 {low}）",
    " of at least {low}": "（不小于 {low}）",
    " below {high}": "（小于 {high}）",
    " at most {high}": "（不大于 {high}）",
    "batch-size applies to mini-batch, but the method is {method}; leave one of them out": (
        "batch-size 只用于 mini-batch，而方法是 {method}；请去掉其中一个"
    ),
    "the scaled method chooses its own direction and length of step, so rule, schedule, warmup and "
    "learning-rate do not "
    "apply to it; leave them out or name another method": (
        "scaled 方法自己决定每一步的方向和长短，因此 rule、schedule、warmup 和 learning-rate 对它不起作用；"
        "请去掉它们，或指定其他方法"
    ),
    "steps on sparse columns go by adagrad, normalised by what each column has shown, and without an average; "
    "leave rule and average out, or use the method scaled": (
        "稀疏列上的步按 adagrad 走，并以每一列所显示的大小归一化，且不取平均；请去掉这两项，或改用 scaled 方法"
    ),
    "the rule {rule} is for networks; name a --model such as mlp:64 or another rule": (
        "规则 {rule} 用于神经网络；请指定 --model（例如 mlp:64），或换一个规则"
    ),
    "a network takes mini-batches, but the method is {method}; leave it out": (
        "神经网络用小批量训练，而方法是 {method}；请去掉它"
    ),
    "the target cannot also be dropped": "目标列不能同时被去掉",
    "the target cannot also be the weights": "目标列不能同时是权重",
    "holdout-by needs a holdout above 0": "holdout-by 需要大于 0 的 holdout",
    "{name} must be a whole number of at least {least}": "{name} 必须是不小于 {least} 的整数",
}

RESUMED = {
    'the checkpoint of run "{run}" is of another model or other data: {why}; fit again': (
        "运行“{run}”的检查点属于另一个模型或另一份数据：{why}；请重新训练"
    ),
    "it was written by {before} and this is {now}": "它由{before}写下，而这里是{now}",
    "it holds no {name}": "其中没有 {name}",
    "{name} is {kept} there and {here} here": "{name} 在那里是 {kept}，在这里是 {here}",
    "it holds other learning rates": "其中是另一些学习率",
    "the loss is {value} at the start here, and was {kept} there": "起点处的损失在这里是 {value}，在那里是 {kept}",
    "the method {method} takes its steps from batches of data, but no data was given": (
        "方法 {method} 从成批的数据中得到每一步，但没有给出数据"
    ),
    "there are {size} to learn": "要学习的有 {size} 个",
    "a rule of your own was given": "给出了你自己的规则",
    "the scaled method steps by itself, for up to {most} numbers, but {why}; name another method": (
        "scaled 方法自己决定每一步，最多用于 {most} 个数，但{why}；请指定其他方法"
    ),
    '{name} of run "{run}" has the shape {shape}, and here {here}': (
        "运行“{run}”的 {name} 形状是 {shape}，在这里是 {here}"
    ),
    'run "{run}" learned {name}, and here there is none; give params as they were': (
        "运行“{run}”学习过 {name}，而这里没有；请照原样给出 params"
    ),
    '{lanes} trainings of "{model}" side by side would take about {needed} of memory, but {free} are free; {remedy}': (
        "并排训练 {lanes} 个“{model}”大约需要 {needed} 内存，而空闲的有 {free}；{remedy}"
    ),
    "give a smaller model, or fewer examples": "请用更小的模型，或更少的样本",
    "give fewer learning rates, starts or seeds, or a smaller batch size": (
        "请减少学习率、初始化或随机种子的个数，或用更小的批大小"
    ),
}
"""What a run that is taken up again, a function or several networks at once can meet."""

MODELS = {
    'run "{run}" holds no model to predict with; fit again': "运行“{run}”中没有可以用来预测的模型；请重新训练",
    "the model of this run cannot be read ({name}); fit again": "无法读取这次运行的模型（{name}）；请重新训练",
    "this model takes tables, not images": "这个模型用于表格，不用于图像",
    "the model takes images of {wide} x {high} pixels, but those of {source} have {width} x {height}; bring them to "
    "that size, or train with --resize": (
        "模型需要 {wide} x {high} 像素的图像，而 {source} 的图像是 {width} x {height}；请改成这个大小，或训练时用 "
        "--resize"
    ),
    "{name} has the shape {shape}, but the network needs {needed}": "{name} 的形状是 {shape}，而网络需要 {needed}",
    'the model "{model}" takes images, but {source} is a table; write mlp:64': (
        "模型“{model}”用于图像，而 {source} 是表格；请写 mlp:64"
    ),
    "this model takes images, and a query gives none; name a file or a folder of them": (
        "这个模型用于图像，而查询给不出图像；请给出图像文件或文件夹"
    ),
    "this source": "这个数据来源",
    'the model "{text}" is none that is known{nearest}; write linear, mlp:64,32 or cnn:16,32/64': (
        "没有模型“{text}”{nearest}；请写 linear、mlp:64,32 或 cnn:16,32/64"
    ),
    'the model "{text}" does not parse at character {place}, "{before}>{after}": {message}': (
        "模型“{text}”从第 {place} 个字符起无法解读，“{before}>{after}”：{message}"
    ),
    "a linear model has no layers to name; write linear": "线性模型没有可以指明的层；请写 linear",
    "an mlp has no convolutions; write mlp:64,32": "mlp 没有卷积层；请写 mlp:64,32",
    "{what}; write whole numbers such as 64,32": "{what}；请写整数，例如 64,32",
    '"{piece}" is not a number of units': "“{piece}”不是单元的个数",
    "a number of units is missing": "缺少单元的个数",
}

EXPRESSIONS = {
    'there is no surface called "{text}"{nearest}; or write an expression such as x**2': (
        "没有名为“{text}”的曲面{nearest}；也可以写一个表达式，例如 x**2"
    ),
    "a box is a pair of numbers for each variable, such as ((-5, 5), (0, 2)), not {box}": (
        "范围是每个变量一对数，例如 ((-5, 5), (0, 2))，而不是 {box}"
    ),
    "the box has {pairs} pairs, but there are {variables} variables; give one pair or {variables}": (
        "范围有 {pairs} 对数，而变量有 {variables} 个；请给出一对或 {variables} 对"
    ),
    "each pair of a box goes from low to high, but one is {low} to {high}": (
        "范围的每一对数应从小到大，而其中一对是 {low} 到 {high}"
    ),
    "the expression has {characters} characters, but at most {most} are read; shorten it": (
        "表达式有 {characters} 个字符，最多只能读取 {most} 个；请写短一些"
    ),
    'the expression "{shown}" has no variable; name one, such as x': "表达式“{shown}”没有变量；请写一个，例如 x",
    "the expression has {variables} variables, but at most {most} are read": (
        "表达式有 {variables} 个变量，最多只能有 {most} 个"
    ),
    "the expression has more than {most} parts within parts; write it flatter": (
        "表达式的嵌套超过 {most} 层；请写得简单一些"
    ),
    'the expression "{shown}" does not read as one{where}; {allowed}': "“{shown}”不能作为表达式读取{where}；{allowed}",
    " near character {place}": "（第 {place} 个字符附近）",
    'in the expression "{whole}", "{part}" at character {place} {why}; {allowed}': (
        "在表达式“{whole}”中，第 {place} 个字符处的“{part}”{why}；{allowed}"
    ),
    "use numbers, variables such as x, y or x1, + - * / **, parentheses, pi, e and {functions}": (
        "可以用数、变量（例如 x、y 或 x1）、+ - * / **、括号、pi、e，以及 {functions}"
    ),
    "is not allowed": "不能使用",
    "is larger than {most}": "大于 {most}",
    "is no variable{nearest}": "不是变量{nearest}",
    "is not an operation here{power}": "不是这里可用的运算{power}",
    "; a power is **": "；乘方写作 **",
    "has a power above {most}": "的幂次高于 {most}",
    "calls no function known here{nearest}": "调用了这里没有的函数{nearest}",
    "must list its arguments plainly": "必须逐一列出参数",
    "needs one argument": "需要一个参数",
    "needs two arguments or more": "需要两个或更多的参数",
    "is not a number": "不是数",
    "is not a real number": "不是实数",
}
