# The answer of the release command, one JSON object per line, as Markdown for the summary of a job.
def cell: tostring | gsub("[\r\n]+"; " ") | gsub("(?<c>[\\\\`*_|<>\\[\\]])"; "\\\(.c)");

(.[] | select(.event == "result") |
  "**\(.status)** \(.release // "")\(if .seconds then " in \(.seconds) seconds" else "" end)"
    + (if .live_seconds then ", live after \(.live_seconds)" else "" end),
  "", (.message // "" | cell)),
(.[] | select(.event == "warning") | "", "Warning: \(.message | cell)"),
(map(select(.event == "step")) | if length > 0 then
  "",
  "| step | status | seconds | |",
  "| --- | --- | ---: | --- |",
  (.[] | "| \(.name) | \(.status) | \(.seconds) | \(.message // "" | cell) |")
else empty end),
(.[] | select(.event == "step" and .detail) | "", "<pre>\(.detail | join("\n") | @html)</pre>")
