"""What can be wrong with tables larger than memory: their files, their block cache, their memory."""

from __future__ import annotations

LARGE = {
    "the block cache of this table takes {size}, above the {limit} that --cache-size allows at "
    '"{folder}"; allow more, or drop columns': (
        "这个表的块缓存需要 {size}，超过 --cache-size 允许在 “{folder}” 使用的 {limit}；请放宽限制，或去掉一些列"
    ),
    'the block cache of this table takes {size} at "{folder}", where {free} is free; make room, or name '
    "another place with --cache": (
        "这个表的块缓存在 “{folder}” 需要 {size}，而那里只剩 {free}；请腾出空间，或用 --cache 指定别的位置"
    ),
    'no blocks can be cached at "{folder}" ({reason}); name another place with --cache': (
        "无法在 “{folder}” 缓存数据块（{reason}）；请用 --cache 指定别的位置"
    ),
    "{source} changed while it was read; fit again once it stays as it is": (
        "{source} 在读取期间发生了变化；请等它不再变化后重新训练"
    ),
    'the disk of "{folder}" became full while blocks of {size} were written there, which were removed again; '
    "make room, or name another place with --cache": (
        "在 “{folder}” 写入 {size} 的数据块时磁盘已满，已写的部分已被删除；请腾出空间，或用 --cache 指定别的位置"
    ),
    'class "{value}" of the target "{name}" has rows in the hold-out only; change --seed, or use --holdout 0': (
        "目标 “{name}” 的类别 “{value}” 只出现在留出部分；请更换 --seed，或使用 --holdout 0"
    ),
    "{bad} left out, because they are damaged": "{bad}已损坏，未使用",
    "{count} files": "{count} 个文件",
    "--memory leaves {memory} for data, and one block of this table takes {needed} with what goes beside it; "
    "allow {more} more": ("--memory 留给数据 {memory}，而这个表的一个数据块连同相关部分需要 {needed}；请再增加 {more}"),
    "the block cache was damaged, and is written again": "块缓存已损坏，正在重新写入",
    "the block cache was damaged ({error}), and is written again": "块缓存已损坏（{error}），正在重新写入",
    "{path} cannot be read as {kind}: {reason}; mend it, or set --skip-bad-files": (
        "{path} 无法按 {kind} 读取：{reason}；请修复它，或设置 --skip-bad-files"
    ),
    'column "{name}" is {other} in {path} but {dtype} in {first}; write the files alike, or set --drop {name}': (
        "列 “{name}” 在 {path} 中是 {other}，在 {first} 中却是 {dtype}；请统一各文件，或设置 --drop {name}"
    ),
    "{path} is not a whole {kind} file: it is truncated, damaged, or of another format; write it again, or "
    "set --skip-bad-files": (
        "{path} 不是完整的 {kind} 文件：它被截断、已损坏或是别的格式；请重新写入，或设置 --skip-bad-files"
    ),
    "{source} holds no file that can be read; write its files again": "{source} 中没有可读取的文件；请重新写入这些文件",
    "{path} has other columns than {first}: it {difference}; read one kind of file, or set --drop": (
        "{path} 的列与 {first} 不同：{difference}；请只读取同一类文件，或设置 --drop"
    ),
    'lacks "{name}"': "缺少 “{name}”",
    'has "{name}" besides': "多出 “{name}”",
    "--holdout-by needs all rows in memory, which this table has no room for; leave it out, or raise --memory": (
        "--holdout-by 需要所有行都在内存中，而这个表放不下；请去掉它，或提高 --memory"
    ),
    'there is no {use} "{name}" in {source}{near}': "{source} 中没有{use} “{name}”{near}",
    "--memory {memory} is less than the programs and one block take together; allow at least {least}": (
        "--memory {memory} 少于程序与一个数据块合计所需；请至少允许 {least}"
    ),
    "a batch of {batch} rows does not fit into the {rows} that are in memory at once; take a smaller one, or "
    "the method full-batch": "一批 {batch} 行放不进同时在内存中的 {rows} 行；请取更小的批次，或使用 full-batch 方法",
    "all rows fit into one window, so that every shuffle is a full one": (
        "所有行都放得进一个窗口，因此每次打乱都是完全的"
    ),
    "rows are mixed within windows in memory, each of pieces drawn from all of the table; the mean target of a "
    "window is off by {apart} deviations, where a full shuffle gives {shuffled}": (
        "各行在内存窗口内混合，每个窗口由取自全表的小段组成；窗口的平均目标偏离 {apart} 个标准差，"
        "完全打乱时为 {shuffled}"
    ),
    "{name} must be a size such as 800MB, 1GB or 2GiB, but is {written}": (
        "{name} 必须是大小，例如 800MB、1GB 或 2GiB，现在是 {written}"
    ),
}
