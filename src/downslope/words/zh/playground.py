"""What can be wrong in the playground, and with a report to be written."""

from __future__ import annotations

PLAYGROUND = {
    "this should not happen ({name}); please report it": "不应该出现这种情况（{name}）；请报告这个问题",
    "this does not fit in memory; ask for less": "内存放不下；请减少要求",
    "there is nothing to do that is called {name}{nearest}": "没有名为 {name} 的操作{nearest}",
    "a message needs an id, a whole number": "每条消息都需要一个整数 id",
    "there is no room called {name}{nearest}": "没有名为 {name} 的房间{nearest}",
    "updates of a map must be at most {most}": "地图的更新次数最多为 {most}",
    "the room {name} takes no table": "房间 {name} 不接受表格",
    "that room is not open; open it first": "那个房间没有打开；请先打开",
    "the room {name} has no clock here: its picture holds the whole way": (
        "房间 {name} 在这里没有时钟：它的图已包含全程"
    ),
    "the room {name} cannot be kept as a page: what it holds is a table of one's own": (
        "房间 {name} 不能存为页面：它保存的是你自己的表格"
    ),
    "a replay page of {updates} updates takes longer to make than {seconds}, in which it came to update {update}; "
    "go back to there or before, and save it again": (
        "{updates} 次更新的回放页面无法在 {seconds} 内做好：到时只做到第 {update} 次更新；"
        "请回到那里或更早，然后重新保存"
    ),
    "speed must be a number of updates a second above 0": "速度必须是大于 0 的每秒更新次数",
    "the state of a room is an object of settings": "房间的状态应是一个由设置组成的对象",
    "the room has no setting called {name}{nearest}": "这个房间没有名为 {name} 的设置{nearest}",
    "{name} must be {kind} from {least} to {most}, not {value}": (
        "{name} 必须是 {least} 到 {most} 之间的{kind}，而不是 {value}"
    ),
    "{name} must be one of {choices}, not {value}{nearest}": (
        "{name} 必须是以下之一：{choices}，而不是 {value}{nearest}"
    ),
    "{name} must be true or false, not {value}": "{name} 必须为真或假，而不是 {value}",
    "{name} must be a text of at most {most} letters": "{name} 必须是不超过 {most} 个字符的文本",
    # rooms of surfaces and of one's own columns
    "this room has one weight, but the expression has {variables}; use x alone": (
        "这个房间只有一个权重，而表达式中有 {variables}；请只用 x"
    ),
    "this room has two weights, but the expression has {variables}; use x and y": (
        "这个房间有两个权重，而表达式中有 {variables}；请用 x 和 y"
    ),
    'there is no rule called "{name}"{nearest}': "没有名为“{name}”的规则{nearest}",
    "name one to {most} rules, with commas between them, such as plain,momentum": (
        "请给出一到 {most} 个规则，以逗号分隔，例如 plain,momentum"
    ),
    'the rate in "{part}" must be a number above 0 and at most 10000': "“{part}”中的学习率必须大于 0 且不大于 10000",
    "type or paste two columns first: x and y in each row": "请先输入或粘贴两列数据：每一行一个 x 和一个 y",
    "give two rows or more, x and y in each, with more than one value of x": (
        "请给出两行或更多，每行一个 x 和一个 y，并且 x 不能全都相同"
    ),
    'the row "{line}" is not two numbers, x and y': "“{line}”这一行不是两个数（x 和 y）",
    "more than {most} rows were given; take the room of your own data for large tables": (
        "给出的行数超过 {most}；大的表格请到“你的数据”房间"
    ),
    # the room of networks
    "layers are at most {layers} numbers from 1 to {units} with commas, such as 4,2, not {value}": (
        "各层是最多 {layers} 个从 1 到 {units} 的数，以逗号分隔，例如 4,2，而不是 {value}"
    ),
    "a network needs a feature: {features}": "网络至少需要一个特征：{features}",
    'there is no feature called "{name}"{nearest}': "没有名为“{name}”的特征{nearest}",
    "weights set by hand are places and numbers with commas, such as 0=1.5,7=-2, not {value}": (
        "手动设置的权重写作位置和数，以逗号分隔，例如 0=1.5,7=-2，而不是 {value}"
    ),
    # the room of one's own data
    "a piece of a table is one buffer": "表格的每一段应是一个缓冲区",
    "an upload needs a name, a size and a place": "上传需要名称、大小和位置",
    "the first piece of the table has not come": "表格的第一段还没有到",
    "a fit is under way; stop it first": "正在训练；请先停止",
    "there is no table yet; choose a file or paste one": "还没有表格；请选择文件，或粘贴一个",
    'the table has no column "{target}"; choose the target among its columns': (
        "表格中没有列“{target}”；请在它的各列中选择目标"
    ),
    "the fit was stopped before its first step": "训练在第一步之前就被停止了",
    "the table does not fit in memory": "内存放不下这个表格",
    "what to download is one of {names}": "可以下载的是以下之一：{names}",
    "there is nothing to download before a fit has ended": "训练结束之前没有可以下载的内容",
    "other pages hold too many tables at the moment; close one, or try again later": (
        "其他页面目前占用的表格太多；请关闭一个，或稍后再试"
    ),
    "the file is empty; give one with a line of column names, and rows under it": (
        "文件是空的；请给出第一行是列名、下面是数据行的文件"
    ),
    "a table may have up to {most} MB here; fit a larger one with downslope fit": (
        "这里的表格最大为 {most} MB；更大的请用 downslope fit 训练"
    ),
    "a piece of the table is out of order or too long: {at} of {size} bytes have come": (
        "表格的一段次序不对或太长：{size} 字节中已收到 {at} 字节"
    ),
    "a table here is a file that ends in {kinds}; convert it, or fit it with downslope fit": (
        "这里的表格文件应以 {kinds} 结尾；请转换格式，或用 downslope fit 训练"
    ),
    "the table": "表格",
    "the sheet": "工作表",
    "the file does not read as {kind}: {reason}": "文件不能作为 {kind} 读取：{reason}",
    "the table has no rows; it needs a line of column names, and rows under it": (
        "表格没有数据行；第一行应为列名，下面是数据行"
    ),
    "the table has {rows} rows of {columns} columns, and up to {most_rows} rows, {most_columns} columns and "
    "{most_cells} cells are read here; fit it with downslope fit": (
        "表格有 {rows} 行、{columns} 列，而这里最多读取 {most_rows} 行、{most_columns} 列和 {most_cells} 个单元格；"
        "请用 downslope fit 训练"
    ),
    "the table unpacks to more than {most} MB; fit it with downslope fit": (
        "表格解压后超过 {most} MB；请用 downslope fit 训练"
    ),
    "line {line}": "第 {line} 行",
    "a line": "有一行",
    "{where} has {cells} cells and the first line {first}; give every line as many, and close every quote": (
        "{where}有 {cells} 个单元格，而第一行有 {first} 个；请使每行一样多，并且引号成对"
    ),
    "the file is no xlsx workbook; if it is locked or in an older format, save it again as xlsx or csv": (
        "文件不是 xlsx 工作簿；如果它有密码或是旧格式，请另存为 xlsx 或 csv"
    ),
    "the workbook unpacks to more than is read here, or is not one that a spreadsheet writes": (
        "工作簿解压后超出这里能读取的大小，或不是由电子表格软件写出的"
    ),
    "the workbook has no sheet with cells; save the table on a sheet of its own": (
        "工作簿中没有含单元格的工作表；请把表格单独存为一张工作表"
    ),
    "the sheet has more than {most} cells; save it as csv or parquet": (
        "工作表超过 {most} 个单元格；请存为 csv 或 parquet"
    ),
}

REPORTS = {
    "a view in a notebook needs anywidget; pip install downslope[notebook] brings it": (
        "在笔记本中显示需要 anywidget；请运行 pip install downslope[notebook]"
    ),
    "target names a column of a source; give the source too, or leave it out": (
        "target 指的是数据来源中的一列；请同时给出数据来源，或去掉它"
    ),
    "the front end is not built; install downslope again, or build it in a copy of its sources with make front": (
        "前端还没有构建；请重新安装 downslope，或在源码目录中用 make front 构建"
    ),
    'there is no language "{language}"; name one of {known}': "没有语言“{language}”；请从 {known} 中选择",
    '"{path}" is a folder; name a file in it, such as "{example}"': (
        "“{path}”是文件夹；请给出其中的文件名，例如“{example}”"
    ),
    '"{path}" is there and is no report; name another file, or allow it to be overwritten': (
        "“{path}”已经存在，而且不是报告；请换一个文件名，或允许覆盖它"
    ),
}
