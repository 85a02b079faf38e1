"""The style sheet of the report: light and dark, from phones to wide screens, and on paper."""

STYLE = """
:root {
  --page: #f6f7f9; --card: #fff; --ink: #1c2330; --quiet: #5a6472; --line: #dde1e7;
  --blue: #0b62a8; --orange: #c25700; --green: #00795a; --pink: #a8447c; --grey: #77808c;
  --soft: #dcebf7; --good: #00795a; --visible: #a15c00; --broken: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151a; --card: #1b2027; --ink: #e8ebf0; --quiet: #a2acb9; --line: #323a45;
    --blue: #5fb0ee; --orange: #f0954a; --green: #3fc79d; --pink: #e08fbd; --grey: #8d97a4;
    --soft: #1f3a52; --good: #3fc79d; --visible: #f0b14a; --broken: #ff8a80;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
header, main { max-width: 64rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 0 0 .5rem; }
p { margin: .25rem 0 .75rem; max-width: 44rem; }
header p { margin: 0; }
.quiet { color: var(--quiet); fill: var(--quiet); }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 1rem; margin: 1rem 0;
}
.verdict { border-left: 6px solid var(--visible); }
.verdict.good { border-left-color: var(--good); }
.verdict.broken { border-left-color: var(--broken); }
.verdict h2 { color: var(--visible); }
.verdict.good h2 { color: var(--good); }
.verdict.broken h2 { color: var(--broken); }
pre { white-space: pre-wrap; font-size: .85rem; overflow-wrap: anywhere; }
dl {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem;
  margin: 1rem 0 0;
}
dl div { background: var(--page); border-radius: 8px; padding: .6rem .75rem; }
dt { color: var(--quiet); font-size: .8rem; }
dd { margin: 0; font-size: 1.15rem; font-weight: 600; font-variant-numeric: tabular-nums; }
/* A table that goes on to the right has a shade there, which the end of the table covers. */
.scroll {
  overflow-x: auto; margin: .75rem 0;
  background:
    linear-gradient(to left, var(--card) 1rem, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--line), transparent) right / 1rem 100% no-repeat scroll;
}
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; }
th, td {
  padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap;
}
thead th {
  color: var(--quiet); font-weight: 500; vertical-align: bottom; white-space: normal;
}
th:first-child {
  text-align: left; padding-left: 0; position: sticky; left: 0; background: var(--card);
}
.pictures { width: 100%; max-width: 52rem; table-layout: fixed; }
.pictures th, .pictures td { border: 0; padding: .15rem; text-align: center; white-space: normal; }
.pictures th:first-child { width: 1.4rem; color: var(--quiet); font-weight: 400; }
.pictures img {
  display: block; width: 100%; height: auto; border-radius: 4px; image-rendering: pixelated;
}
.ramp { display: flex; align-items: center; gap: .5rem; font-size: .8rem; color: var(--quiet); }
.ramp i { width: 10rem; height: .7rem; border-radius: 4px; border: 1px solid var(--line); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
.cards.wide { grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); }
figure { margin: 0; max-width: 28rem; }
figcaption { font-size: .85rem; margin-bottom: .25rem; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11px; fill: var(--ink); font-family: inherit; }
svg text.quiet { fill: var(--quiet); }
svg text.number { fill: var(--card); font-size: 10px; font-weight: 700; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .8rem; max-width: none; }
.key i {
  display: inline-block; width: .8rem; height: .8rem; border-radius: 3px; margin-right: .35rem;
  vertical-align: -1px;
}
.bar { fill: var(--blue); background: var(--blue); }
.clipped { fill: var(--broken); background: var(--broken); }
.representable { fill: var(--soft); background: var(--soft); }
.limit { stroke: var(--blue); stroke-dasharray: 3 2; }
.grid { stroke: var(--line); }
.roof { fill: none; stroke: var(--ink); stroke-width: 2; }
.point { fill: var(--blue); }
.kind0, .cycles { fill: var(--blue); background: var(--blue); }
.kind1, .array { fill: var(--orange); background: var(--orange); }
.kind2, .memory { fill: var(--green); background: var(--green); }
.kind3 { fill: var(--pink); background: var(--pink); }
.kind4 { fill: var(--grey); background: var(--grey); }
@media print { body { background: none; } section { break-inside: avoid; } }
"""
