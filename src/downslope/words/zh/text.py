"""Text, hashed columns, and files whose rows name their features themselves."""

from __future__ import annotations

TEXT = {
    "{grams} hashed into 2^{bits} buckets, {met} of them met; {share} of the n-grams share theirs": (
        "{grams} 散列到 2^{bits} 个桶，用到其中 {met} 个；{share} 的 n 元组与别的共用一个桶"
    ),
    "the rarer ones hashed into 2^{bits} buckets, {met} of them met; {share} of the levels share theirs": (
        "较少见的取值散列到 2^{bits} 个桶，用到其中 {met} 个；{share} 的取值与别的共用一个桶"
    ),
    "names hashed into 2^{bits} buckets, {met} of them met, {scaled}; {share} of the features share theirs": (
        "名称散列到 2^{bits} 个桶，用到其中 {met} 个，{scaled}；{share} 的特征与别的共用一个桶"
    ),
    "{met} features met, {scaled}": "出现了 {met} 个特征，{scaled}",
    "each brought to a largest size of 1": "每个特征的最大绝对值缩放为 1",
    "no n-gram in any training row": "训练行中没有任何 n 元组",
    "no feature in any training row": "训练行中没有任何特征",
    'there is no text column "{name}" to learn from in {source}{nearest}': (
        "{source}中没有可供学习的文本列“{name}”{nearest}"
    ),
    'column "{name}" is to be read as text, but holds {kind} values; name a column of text': (
        "列“{name}”要作为文本读取，但其中是 {kind} 值；请指定一个文本列"
    ),
    "{source} holds sparse rows, which linear models learn from, but the model is {model}; leave it out": (
        "{source}中是稀疏的行，只有线性模型能从中学习，但所选模型是 {model}；请去掉该模型设置"
    ),
    "the model learned from the features that rows of a {format} file name themselves, and {source} has none; give a "
    "file of that format": "该模型学自 {format} 文件各行自带的特征，而{source}中没有；请给出该格式的文件",
    "grams must be word, char or char_wb, and how many of them at once, such as word:1-2 or char_wb:3-5, not {value}": (
        "grams 必须是 word、char 或 char_wb，加上一次取几个，例如 word:1-2 或 char_wb:3-5，而不是 {value}"
    ),
    "grams needs at least one kind of n-grams": "grams 至少需要一种 n 元组",
    "text is learned from by linear models, but the model is {model}; leave one out": (
        "文本由线性模型学习，但所选模型是 {model}；请去掉其中之一"
    ),
    "the target cannot also be a text to learn from": "目标列不能同时作为要学习的文本",
    "text and hashed columns are learned from on one machine; leave --cluster out": (
        "文本和散列的列只能在一台机器上学习；请去掉 --cluster"
    ),
    "{columns} sparse columns have been met, more than --memory has room for: it leaves {memory} for data; raise it, "
    "or set fewer --hash-bits": (
        "已遇到 {columns} 个稀疏列，超出 --memory 容纳的范围：留给数据的只有 {memory}；"
        "请调高它，或把 --hash-bits 设小一些"
    ),
    "it holds the state of other columns": "其中是别的列的状态",
    "--hash-bits {bits} takes {size} to count the buckets, and {memory} are there for data; set fewer, or raise "
    "--memory": "--hash-bits {bits} 需要 {size} 来统计桶，而可用于数据的只有 {memory}；请设小一些，或调高 --memory",
    '"{column}" is hashed into 2^{bits} buckets and no more, since {memory} are there for data; raise --memory, or set '
    "--hash-bits": (
        "“{column}”只散列到 2^{bits} 个桶，因为可用于数据的内存只有 {memory}；请调高 --memory，或设置 --hash-bits"
    ),
    "--memory leaves {memory} for data, and a model of {features} features with the blocks of this table takes "
    "{needed}; allow {more} more, or set fewer --hash-bits": (
        "--memory 给数据留下 {memory}，而一个有 {features} 个特征的模型连同数据块需要 {needed}；"
        "请再多给 {more}，或设置较小的 --hash-bits"
    ),
    "{source} holds other labels than two whole numbers": "{source}中的标签不只是两个整数",
    "indices up to {highest} take {size} to be counted, and {memory} are there for it; number the features from 1, or "
    "raise --memory": (
        "统计到 {highest} 为止的下标需要 {size}，而可用的只有 {memory}；请从 1 起给特征编号，或调高 --memory"
    ),
    "{source} holds no row; give a file with examples": "{source}中没有任何行；请给出带有样本的文件",
    "{path} cannot be read whole: it is truncated, damaged or not compressed at all": (
        "{path} 无法完整读取：它被截断、已损坏，或根本没有压缩"
    ),
    "{path}, line {line}: {wrong}: {text}; mend it, or leave such lines out with --skip-bad-lines": (
        "{path} 第 {line} 行：{wrong}：{text}；请改正，或用 --skip-bad-lines 略过这样的行"
    ),
    "it does not begin with a label, which is a number": "开头不是标签（一个数）",
    "an entry is not index:value": "有一项不是 index:value",
    "an index is above 2147483647": "有一个编号大于 2147483647",
    "a value is not a number": "有一个值不是数",
    "an index stands twice": "有一个编号出现了两次",
    "no bar | stands before the features": "特征前面没有竖线 |",
    "before the bar stands something else than a label, an importance and a tag": (
        "竖线前面有标签、重要度和标记以外的东西"
    ),
    "an importance is negative": "重要度是负数",
    "a feature has no name": "有一个特征没有名称",
    "--where asks about columns, and {source} has none but its label; leave it out": (
        "--where 针对的是列，而{source}中除了标签没有别的列；请去掉它"
    ),
    "{treatment}; {lines} left out": "{treatment}；略过 {lines}",
    "{count} malformed line": "{count} 行格式错误的数据",
}
