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
    "no Ray cluster answers at {address}: {words}; start one with `ray start --head`, or give --cluster auto": (
        "{address} 没有 Ray 集群应答：{words}；请用 `ray start --head` 启动一个，或使用 --cluster auto"
    ),
    "the workers added up {counted} rows of {rows}; their shards are not the table's: resume the run": (
        "工作进程共加了 {counted} 行，而表有 {rows} 行；它们的分片与表不符：请恢复运行"
    ),
    "worker {worker}, which holds the rows from {row} on, failed {times} times, at last because {why}{words}; look "
    "at its machine's memory and disk, then resume the run": (
        "持有第 {row} 行起各行的工作进程 {worker} 失败了 {times} 次，最后一次是因为{why}{words}；"
        "请查看其机器的内存和磁盘，然后恢复运行"
    ),
    "it died": "它已终止",
    "it hung": "它没有响应",
    "it was slow": "它太慢",
}
