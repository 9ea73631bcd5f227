"""What can be wrong with a cluster: Ray, its room, its workers."""

from __future__ import annotations

CLUSTER = {
    "Ray is not installed, and a cluster needs it; install it with: pip install 'downslope[cluster]'": (
        "未安装 Ray，而集群需要它；请这样安装：pip install 'downslope[cluster]'"
    ),
    "the cluster has {there} processors, and {workers} workers of {threads} each do not fit; set --workers": (
        "集群有 {there} 个处理器，放不下 {workers} 个各占 {threads} 个处理器的工作进程；请设置 --workers"
    ),
    "Ray could not be started on this machine: {words}; look at free memory and ports": (
        "无法在这台机器上启动 Ray：{words}；请查看空闲内存和端口"
    ),
    "no Ray cluster answers at {address}: {words}; start one with `ray start --head`, set RAY_AUTH_TOKEN where it "
    "asks for a token, or give --cluster auto": (
        "{address} 没有 Ray 集群应答：{words}；请用 `ray start --head` 启动一个，在需要令牌时设置 RAY_AUTH_TOKEN，"
        "或使用 --cluster auto"
    ),
    "the workers added up {counted} rows of {rows}; their shards are not the table's: resume the run": (
        "工作进程共加了 {counted} 行，而表有 {rows} 行；它们的分片与表不符：请恢复运行"
    ),
    "worker {worker} of the cluster failed {times} times at one question, at last because {why}{words}; look at "
    "its machine's memory and disk, then resume the run": (
        "集群的工作进程 {worker} 在同一个问题上失败了 {times} 次，最后一次是因为{why}{words}；"
        "请查看其机器的内存和磁盘，然后恢复运行"
    ),
    "a worker of the cluster cannot read {path}: {reason}; put the files where every machine sees them": (
        "集群的工作进程无法读取 {path}：{reason}；请把文件放在每台机器都能看到的地方"
    ),
    "{pieces} files or row groups cannot be shared out among more than {there} workers": (
        "{pieces} 个文件或行组最多只能分给 {there} 个工作进程"
    ),
    "a cluster reads files, and this is none; name a file, glob or folder, or leave --cluster out": (
        "集群读取的是文件，而这不是文件；请指定文件、通配符或文件夹，或去掉 --cluster"
    ),
    "a cluster trains on tables, and the model {model} takes images; leave --cluster out": (
        "集群在表格上训练，而模型 {model} 需要图像；请去掉 --cluster"
    ),
    "--plan measures the passes of a linear model; leave --model or --plan out": (
        "--plan 测量的是线性模型的遍历；请去掉 --model 或 --plan"
    ),
    "a network takes dense columns; leave text and hashed columns out, or fit a linear model": (
        "网络只接受稠密列；请去掉文本列和散列列，或训练线性模型"
    ),
    "a worker of the cluster failed {times} times at one piece of the work: {words}; look at its machine's memory": (
        "集群的工作进程在同一份工作上失败了 {times} 次：{words}；请查看其机器的内存"
    ),
    "a race times its methods on one machine, one after the other; leave --cluster out": (
        "竞赛在一台机器上依次给各方法计时；请去掉 --cluster"
    ),
    "all rows are in one place, and there is nothing to average": "所有行都在一处，无需平均",
    "; times {factor} for steps on {part} of the {batch} examples that it was raced on": (
        "；乘以 {factor}，因为每步只用竞速时 {batch} 个样本中的 {part} 个"
    ),
    "the loss of a batch was no number or {factor} times the start's": "某个批次的损失不是数，或达到起点的 {factor} 倍",
    "single examples are too little to share out; use --method mini-batch, scaled or full-batch": (
        "单个样本太少，无法分给多台机器；请使用 --method mini-batch、scaled 或 full-batch"
    ),
    "rounds of mini-batches take plain steps on dense rows; leave rule and average out": (
        "分轮的小批量只在稠密行上走普通步；请去掉 rule 和 average"
    ),
    "each steps apart for {steps} batches, for the noise scale is {scale} examples, a batch takes {step} and the "
    "way of the weights {way}": (
        "各自走 {steps} 个批次后再平均，因为噪声尺度是 {scale} 个样本，一个批次用时 {step}，权重往返用时 {way}"
    ),
    "the lowest loss of {rates} rates run side by side on {rows} sampled examples": (
        "在 {rows} 个抽样样本上并行试过的 {rates} 个学习率中损失最低者"
    ),
    "--workers are those of a cluster; give --cluster auto, or leave them out": (
        "--workers 是集群的工作进程数；请给出 --cluster auto，或去掉它"
    ),
    "this run is not of a cluster; resume it without --cluster and --workers": (
        "这次运行不是在集群上进行的；请不带 --cluster 和 --workers 恢复它"
    ),
    "worker {worker} is replaced, because {why}": "工作进程 {worker} 已被替换，因为{why}",
    "--plan is of a fit on a cluster; give --cluster auto, or leave it out": (
        "--plan 用于集群上的训练；请给出 --cluster auto，或去掉它"
    ),
    "it died": "它已终止",
    "it hung": "它没有响应",
    "it was slow": "它太慢",
}
