"""The style of the page to print. It stands in the page, so that a page that was saved keeps it."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

STYLE: Final = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: #fff; color: #191f29;
  font: 0.9rem/1.5 system-ui, "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", sans-serif; }
h1 { margin: 0; font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 0.5rem; font-size: 1.15rem; break-after: avoid; }
header p { margin: 0.25rem 0 0; color: #55606f; }
section { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
thead { display: table-header-group; }
th, td { padding: 0.3rem 0.5rem; border-bottom: 1px solid #d6dbe2; text-align: start;
  vertical-align: top; word-break: keep-all; white-space: pre-line; }
td.said { min-width: 5.5em; overflow-wrap: anywhere; }
th { border-bottom: 2px solid #8a94a3; font-weight: 600; white-space: normal; }
td.number { text-align: end; font-variant-numeric: tabular-nums; }
tr { break-inside: avoid; }
.polls td:nth-child(5) { text-align: end; }
.talk td:nth-child(1) { white-space: nowrap; }
.talk td:last-child { width: 75%; }
.cut { padding: 0.5rem; border: 2px solid #b3261e; color: #b3261e; }
@page { margin: 15mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  section { overflow: visible; }
  .questions table { font-size: 8pt; }
  .questions th, .questions td { padding-inline: 0.2rem; }
  section + section { break-before: auto; }
}
"""

#: The source in a content security policy that allows this style and no other (CSP 3, section
#: 2.3.1).
STYLE_SOURCE: Final = (
    f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
