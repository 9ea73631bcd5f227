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
    "standard input": "标准输入",
    "standard input is empty; pipe a CSV with a header into it, such as: cat table.csv | downslope fit -": (
        "标准输入为空；请通过管道送入带表头的 CSV，例如：cat table.csv | downslope fit -"
    ),
    "standard input is not text; pipe CSV into it, unpacked, or name the file itself": (
        "标准输入不是文本；请通过管道送入解压后的 CSV，或直接指定文件"
    ),
    "standard input cannot be read as CSV after row {row}: {reason}; mend that line": (
        "标准输入在第 {row} 行之后无法按 CSV 读取：{reason}；请修复该行"
    ),
    "{problem} (in the first {rows} rows, by which one pass is planned: shuffle the rows, or leave --passes out)": (
        "{problem}（在用来规划单遍训练的前 {rows} 行中；请打乱各行，或去掉 --passes）"
    ),
    'row {row} has the class "{name}" of the target "{target}", which the first rows, by which one pass is planned, '
    "do not have; shuffle the rows, or leave --passes out": (
        "第 {row} 行的目标 “{target}” 属于类别 “{name}”，而用来规划单遍训练的前若干行中没有它；"
        "请打乱各行，或去掉 --passes"
    ),
    "one pass is over files or standard input; what lies in memory can be read again, so leave passes out": (
        "单遍训练用于文件或标准输入；内存中的数据可以反复读取，请去掉 passes"
    ),
    "passes can only be 1, which learns from each row as it comes; for more of them set epochs": (
        "passes 只能为 1，即每行到来时学习一次；需要更多遍请设置 epochs"
    ),
    "one pass takes its steps on single rows or mini-batches, without a schedule, epochs, holdout-by, a "
    "query, a cluster or a network; leave those out, or leave passes out and name a file": (
        "单遍训练按单行或小批次步进，不用学习率计划、epochs、holdout-by、查询、集群或神经网络；"
        "请去掉它们，或去掉 passes 并指定文件"
    ),
    "one pass steps on each row but once, which no penalty need keep from being learned by heart": (
        "单遍训练对每行只步进一次，无需惩罚项来防止死记硬背"
    ),
    "diverged within the first {rows} at every rate from {rate} down": "从 {rate} 起的每个学习率都在前 {rows} 内发散",
    "converged after {work}: the loss on rows kept aside has not fallen for {looks}; the weights of its "
    "lowest are kept": "在{work}之后收敛：留出行上的损失连续{looks}没有下降；保留损失最低时的权重",
    "{rows}, {updates}": "{rows}，{updates}",
    "one pass over {work}; a single pass proves no gap": "单遍训练：{work}；单遍无法证明差距",
    "the lowest loss of {rates} rates run side by side on rows that they had not stepped on yet, the worse half "
    "dropped now and then": "{rates} 个学习率并排运行，在尚未步进过的行上损失最低；其间不时淘汰较差的一半",
    "{name} must be a size such as 800MB, 1GB or 2GiB, but is {written}": (
        "{name} 必须是大小，例如 800MB、1GB 或 2GiB，现在是 {written}"
    ),
}
