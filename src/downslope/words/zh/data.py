"""What became of the columns, and what can be wrong with data, targets, weights and files."""

from __future__ import annotations

COLUMNS = {
    "standardised": "已标准化",
    "as it is": "保持原样",
    "as they are": "保持原样",
    "{scaled}, with an indicator of the missing": "{scaled}，另加一个缺失标记",
    "parts: {parts}": "拆分为：{parts}",
    "one-hot, {levels} levels{missing}": "独热编码，{levels} 个取值{missing}",
    "one-hot, the {levels} most frequent of {distinct} levels{missing}, and other": (
        "独热编码，{distinct} 个取值中最常见的 {levels} 个{missing}，以及其他"
    ),
    " and missing": "和缺失",
    "{pixels}, {scaled}": "{pixels}，{scaled}",
    "{width} x {height} grey pixels": "{width} x {height} 灰度像素",
    "{width} x {height} colour pixels": "{width} x {height} 彩色像素",
    "each channel standardised": "每个通道都已标准化",
    "left out: {reason}": "未使用：{reason}",
    "a list or struct in each row": "每一行是列表或结构",
    "binary values": "二进制值",
    "every value is missing": "所有的值都缺失",
    "constant": "恒定不变",
    "constant, always {value}": "恒定不变，总是 {value}",
    "identifier: whole numbers, all distinct, that only count or name the rows": (
        "标识列：互不相同的整数，只是给各行计数或命名"
    ),
    "identifier: {distinct} distinct values in {present} rows": "标识列：{present} 行中有 {distinct} 个不同的值",
    "text with too few repeats: {distinct} distinct values in {present} rows": (
        "重复太少的文本：{present} 行中有 {distinct} 个不同的值"
    ),
    "its groups divide training from hold-out": "它的分组用来划分训练部分和留出部分",
}

TARGETS = {
    "target": "目标列",
    "column": "列",
    "weights column": "权重列",
    "column to hold out by": "用来留出的列",
    'there is no {use} "{name}" in {source}{nearest}': "{source}中没有{use}“{name}”{nearest}",
    "no target was named; say which column to predict with --target": "没有指定目标；请用 --target 指明要预测哪一列",
    "no target was named; choose one of the columns with --target{some}": "没有指定目标；请用 --target 选择一列{some}",
    'the target "{name}" is missing in every row; choose another target': (
        "目标“{name}”在每一行都缺失；请选择另一个目标"
    ),
    'the target "{name}" holds {kind} values; choose a column of numbers, text, or true and false': (
        "目标“{name}”的值属于{kind}类型；请选择由数值、文本或是与否组成的列"
    ),
    'the target "{name}" is constant, always {value}; choose another target': (
        "目标“{name}”恒定不变，总是 {value}；请选择另一个目标"
    ),
    'the target "{name}" is {what}; choose another target': "目标“{name}”{what}；请选择另一个目标",
    "missing": "缺失",
    "missing in every row": "在每一行都缺失",
    'the target "{name}" is constant in the training part; change --seed, --holdout or --holdout-by': (
        "目标“{name}”在训练部分恒定不变；请更改 --seed、--holdout 或 --holdout-by"
    ),
    'the target "{name}" has {distinct} distinct values, above the {most} classes that can be learned; choose another '
    "target or a loss for numbers": (
        "目标“{name}”有 {distinct} 个不同的值，超过了可以学习的 {most} 个类别；请选择另一个目标，或选择用于数值的损失"
    ),
    'the target "{name}" is text, but the {loss} loss needs numbers; leave --loss out, or choose a target of numbers': (
        "目标“{name}”是文本，而{loss}损失需要数值；请去掉 --loss，或选择由数值组成的目标"
    ),
    'the poisson loss needs counts 0, 1, 2, ..., but the target "{name}" is {what} in row {row} ({value}); choose '
    "another loss, such as squared": (
        "泊松损失需要计数 0、1、2……，但目标“{name}”在第 {row} 行{what}（{value}）；请选择其他损失，例如 squared"
    ),
    "negative": "为负",
    "not whole": "不是整数",
    "the target {error}": "目标{error}",
    "class-weight needs a target of classes, but this one is a number; leave it out": (
        "class-weight 需要以类别为目标，而这个目标是数值；请去掉它"
    ),
    'class-weight needs classes, but the target "{name}" is a number; leave class-weight out': (
        "class-weight 需要类别，而目标“{name}”是数值；请去掉 class-weight"
    ),
    'the weights "{name}" are not numbers; give a column of numbers that are not negative': (
        "权重“{name}”不是数值；请给出一列非负的数值"
    ),
    'the weights "{name}" are missing in row {row}; give every row a weight': (
        "权重“{name}”在第 {row} 行缺失；请给每一行一个权重"
    ),
    'the weights "{name}" are negative in row {row} ({value}); give weights of 0 or more': (
        "权重“{name}”在第 {row} 行为负（{value}）；请给出 0 或更大的权重"
    ),
    'the weights "{name}" are zero in every {where}; give some rows a weight above 0': (
        "权重“{name}”在每一{where}都为零；请给一些行大于 0 的权重"
    ),
    "row": "行",
    "row of the training part": "训练行",
    "the weights {error}": "权重{error}",
    '"{name}" cannot be read as one column: {reason}': "“{name}”不能作为一列读取：{reason}",
    '"{name}" has {values} values for {rows} rows; give one value a row': (
        "“{name}”有 {values} 个值，而数据有 {rows} 行；请每行给一个值"
    ),
    'column "{name}" is {infinity} in row {row}; replace it by a number or leave it empty': (
        "列“{name}”在第 {row} 行为{infinity}；请换成一个数，或者留空"
    ),
    "infinity": "无穷大",
    "minus infinity": "负无穷大",
    'column "{name}" holds values too large to square in float64 (above 1e150); rescale it first': (
        "列“{name}”的值太大，在 float64 中无法平方（大于 1e150）；请先缩小它的单位"
    ),
    'column "{name}" holds values above 3.4e38, too large as they are; standardise or rescale it': (
        "列“{name}”的值大于 3.4e38，原样太大；请标准化，或缩小它的单位"
    ),
    "no column of {source} is left to learn from{reasons}; add features": (
        "{source}中没有剩下可以学习的列{reasons}；请增加特征"
    ),
    ": {reasons}": "：{reasons}",
    '"{column}" is left out ({reason})': "“{column}”未使用（{reason}）",
}

HOLDOUT = {
    "{count} rows are too few to hold any out ({least} are needed), so every one of them trains": (
        "{count} 行太少，无法留出（需要 {least} 行），因此全部用于训练"
    ),
    'class "{label}" of the target "{name}" has one row only, so the training part and the hold-out cannot both have '
    "it; use --holdout 0, or leave that class out with --where": (
        "目标“{name}”的类别“{label}”只有一行，训练部分和留出部分无法都有它；"
        "请用 --holdout 0，或者用 --where 去掉这个类别"
    ),
    'splitting by "{name}" leaves the {part} without class "{label}" of the target "{target}"; change --holdout, or '
    "leave --holdout-by out": (
        "按“{name}”划分后，{part}中没有目标“{target}”的类别“{label}”；请更改 --holdout，或去掉 --holdout-by"
    ),
    "training part": "训练部分",
    "hold-out": "留出部分",
    '"{name}" holds {kind} values, which neither order nor group the rows; hold out by another column': (
        "“{name}”的值属于{kind}类型，既不能给各行排序，也不能分组；请按另一列留出"
    ),
    '"{name}" holds one value only, so no rows come last; hold out by another column': (
        "“{name}”只有一个值，分不出哪些行在最后；请按另一列留出"
    ),
    '"{name}" holds one group only, so none can be held out; hold out by another column': (
        "“{name}”只有一个组，无法留出；请按另一列留出"
    ),
}

SOURCES = {
    "there is nothing to read; give a file, a folder, a glob or --sql": (
        "没有可读取的内容；请给出文件、文件夹、通配符或 --sql"
    ),
    "--sql and a source exclude each other; give one of them": "--sql 与数据来源不能同时给出；请只给一个",
    "the query": "查询结果",
    "the {name}": "{name}",
    "the dict of columns": "由列组成的字典",
    "the query does not work: {error}": "查询无法执行：{error}",
    "--sql must be one query that returns rows, such as: select * from 'flights.parquet'": (
        "--sql 必须是一个返回行的查询，例如：select * from 'flights.parquet'"
    ),
    "--where does not work: {error}": "--where 无法执行：{error}",
    "--where leaves no rows: {where} holds for none; loosen the condition": (
        "--where 没有留下任何行：没有一行满足 {where}；请放宽条件"
    ),
    "{source} cannot be read: {error}": "{source}无法读取：{error}",
    "{source} cannot be read under --where: {error}": "{source}在 --where 条件下无法读取：{error}",
    "{source} is an address, and nothing is fetched over the network; save it to a file first": (
        "{source} 是一个网址，而这里不会从网络获取任何内容；请先存成文件"
    ),
    "the folder {source} holds no table; expected one of {formats}": (
        "文件夹 {source} 中没有表格；应为以下格式之一：{formats}"
    ),
    "no file matches {source}; check the folder and the pattern": "没有文件与 {source} 匹配；请检查文件夹和通配符",
    "no such file: {source}{neighbours}": "没有这个文件：{source}{neighbours}",
    ", because there is no folder {folder}": "，因为没有文件夹 {folder}",
    "{source} holds files of different formats ({formats}); name one with a glob": (
        "{source} 中有不同格式的文件（{formats}）；请用通配符指定一种"
    ),
    'there is no column "{name}" to drop in {source}{nearest}': "{source}中没有可以去掉的列“{name}”{nearest}",
    "{source} has no columns left, because each of them is dropped; drop fewer": (
        "{source}的每一列都被去掉了，没有剩下任何列；请少去掉一些"
    ),
    "{path} cannot be opened: {reason}": "{path} 无法打开：{reason}",
    "{path} is empty; give a file with a header and rows": "{path} 是空的；请给出有表头和数据行的文件",
    "{path} is in no format that can be read; expected one of {formats}": (
        "{path} 不是可以读取的格式；应为以下格式之一：{formats}"
    ),
    "{path} is not a whole {format} file: it is truncated, damaged, or of another format; write it again": (
        "{path} 不是完整的 {format} 文件：被截断、损坏，或是其他格式；请重新写出"
    ),
    "{path} is not a whole compressed file: it is truncated or not compressed at all; fetch it again": (
        "{path} 不是完整的压缩文件：被截断，或根本没有压缩；请重新获取"
    ),
    "{path} is not UTF-8 text; convert it first, for example with: iconv -f GBK -t UTF-8": (
        "{path} 不是 UTF-8 文本；请先转换，例如：iconv -f GBK -t UTF-8"
    ),
    "{path} cannot be read as {format}: {reason}": "{path} 不能作为 {format} 读取：{reason}",
    '{source} has more than one column named "{name}"; rename all but one of them': (
        "{source}中有不止一列名为“{name}”；请只保留一个，其余改名"
    ),
    "{source} has no columns; give a table with a target and at least one feature": (
        "{source}没有列；请给出有目标列和至少一个特征的表格"
    ),
    "{source} has columns but no rows; give a table with data": "{source}有列而没有行；请给出有数据的表格",
    "the {name} cannot be read as a table: {reason}": "{name} 不能作为表格读取：{reason}",
    "an object of type {name} is not a table; give a path, an array, a pandas or Polars frame, Arrow data, a DuckDB "
    "relation, or a dict of columns": (
        "{name} 类型的对象不是表格；请给出路径、数组、pandas 或 Polars 表、Arrow 数据、DuckDB 关系，或由列组成的字典"
    ),
    'column "{name}" cannot be read: {reason}': "列“{name}”无法读取：{reason}",
    'the columns differ in length: "{shortest}" has {rows} rows and "{longest}" has {more}; give them all the same '
    "length": "各列长度不同：“{shortest}”有 {rows} 行，“{longest}”有 {more} 行；请使它们一样长",
    "a column must have one axis, but this array has shape {shape}": "一列必须是一维的，而这个数组的形状是 {shape}",
    "complex numbers cannot be learned from; give their real and imaginary parts as two columns": (
        "不能从复数中学习；请把实部和虚部分成两列"
    ),
    "an array must have rows and columns, but this one has shape {shape}; reshape it first": (
        "数组必须有行和列，而这个数组的形状是 {shape}；请先改变形状"
    ),
    "the sparse matrix would take {rows} x {columns} cells when written out, above the limit of {most}; give fewer "
    "rows or columns": "稀疏矩阵展开后有 {rows} x {columns} 个单元格，超过上限 {most}；请减少行或列",
    'the model needs the column "{name}"{others}, which {source} lacks{nearest}; rename the column or add it': (
        "模型需要列“{name}”{others}，而{source}中没有{nearest}；请给列改名，或添加它"
    ),
    " and {more} more": "以及另外 {more} 列",
    'column "{name}" held {before} in training but holds {now} here (row {row}: {shown}); give it the same kind of '
    "values": "列“{name}”在训练时是{before}，在这里却是{now}（第 {row} 行：{shown}）；请给它同一类的值",
    "numbers": "数值",
    "true or false": "是或否",
    "text": "文本",
    "dates": "日期",
    "times of day": "时刻",
    "lists or structs": "列表或结构",
}
