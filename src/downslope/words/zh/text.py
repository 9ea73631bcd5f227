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
    "text and sparse rows are held in memory, and {memory} are too few for {source}; raise --memory or learn from "
    "fewer files": "文本和稀疏的行要放在内存里，而 {memory} 装不下{source}；请调高 --memory，或用较少的文件学习",
}
