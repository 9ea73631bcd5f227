"""Numbers, spans of time, and counts with their nouns."""

from __future__ import annotations

FIGURES = {
    "unknown": "未知",
    "infinite": "无穷大",
    "minus infinite": "负无穷大",
    "{minutes} min {seconds} s": "{minutes} 分 {seconds} 秒",
    "{hours} h": "{hours} 小时",
}
