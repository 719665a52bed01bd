"""The style sheet of the page: light and dark, wide and narrow, and in print."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --quiet: #5f5f5f; --line: #ccc;
  --stripe: #f4f4f4; --right: #0072b2; --wrong: #c44e00; --over: #fff; --focus: #0072b2;
  --k0: #0072b2; --k1: #e69f00; --k2: #009e73; --k3: #cc79a7; --k4: #56b4e9; --k5: #d55e00;
  --k6: #222; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --ink: #e6e6e6; --quiet: #a6a6a6;
  --line: #444; --stripe: #212429; --right: #4aa8e8; --wrong: #f08a3c; --over: #111;
  --focus: #7cc4ff; --k0: #4aa8e8; --k4: #a7dcff; --k6: #f0f0f0; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 64rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 3rem; }
h3 { font-size: 1.05rem; margin-top: 2rem; } h4 { margin: 1rem 0 .3rem; }
h5 { margin: .8rem 0 .3rem; font-size: .85rem; }
a { color: var(--focus); } nav a { display: inline-block; margin: 0 .9rem .4rem 0; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .85rem; }
.wide { overflow-x: auto; margin: 0 0 1.5rem; overflow-wrap: normal; }
.caption, .quiet, figcaption, small { font-size: .85rem; color: var(--quiet); }
.caption { margin: 0 0 .6rem; max-width: 48rem; }
th, td { padding: .25rem .5rem; text-align: right; font-weight: normal; }
td.whole { white-space: nowrap; } .long { overflow-wrap: anywhere; min-width: 6.5rem; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1.5px solid var(--ink); vertical-align: bottom; font-weight: 600; }
tr.ours td { font-weight: 600; } tbody tr:nth-child(even) { background: var(--stripe); }
svg text { fill: currentColor; font-size: 12px; } svg text.quiet { fill: var(--quiet); }
svg.fluid { width: 100%; max-width: 44rem; display: block; margin-bottom: .8rem; }
svg.fixed { display: block; }
svg.bank { position: absolute; }
.k0 { fill: var(--k0); } .k1 { fill: var(--k1); } .k2 { fill: var(--k2); } .k3 { fill: var(--k3); }
.k4 { fill: var(--k4); } .k5 { fill: var(--k5); } .k6 { fill: var(--k6); }
.never { fill: var(--stripe); } rect.right { fill: var(--right); }
rect.wrong { fill: var(--wrong); }
.cell text { font-size: 10px; } .cell text.over { fill: var(--over); }
text.number { font-size: 10px; fill: var(--quiet); }
line.axis { stroke: var(--line); } line.chance { stroke: var(--quiet); stroke-dasharray: 2 3; }
line.interval { stroke: var(--ink); stroke-width: 2; }
.legend span { margin-right: 1rem; display: inline-block; } .swatch { vertical-align: -2px; }
.plot { max-width: 36rem; } .plot > svg { width: 100%; display: block; }
.area { fill: none; stroke: var(--line); } .tip { display: none; } .pt { cursor: default; }
.pt:hover .tip, .pt.on .tip { display: inline; }
.pt:hover > use, .pt.on > use { stroke: var(--ink); stroke-width: 2; }
.plot > svg:hover .pt.on:not(:hover) .tip { display: none; }
.plot svg:has(.pt:hover) .hint, .plot svg:has(.pt.on) .hint { display: none; }
.said { min-height: 1.5em; margin: 0; font-size: .85rem; }
fieldset { border: 1px solid var(--line); font-size: .85rem; padding: .3rem .6rem; margin: 0; }
label { display: inline-block; margin-right: .9rem; } label input { margin: 0 .3rem 0 0; }
details { border-top: 1px solid var(--line); padding: .3rem 0; }
summary { cursor: pointer; padding: .3rem 0; }
.browser ul, .scores { list-style: none; padding: 0; margin: 0; }
.support, .answers { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 13rem), 1fr)); }
.support span { display: block; font-size: .85rem; }
.strip { display: block; max-width: 100%; height: auto; margin-bottom: 2px; }
.browser small { display: block; }
.answers > li { border-left: 3px solid var(--right); padding-left: .6rem; }
.answers > .wrong { border-color: var(--wrong); }
.answers b { font-size: .85rem; } .right > b { color: var(--right); }
.wrong > b { color: var(--wrong); }
.scores li { display: grid; grid-template-columns: 1fr auto; font-size: .8rem; gap: 0 .5rem; }
.scores svg { grid-column: 1 / -1; fill: var(--quiet); } .scores .true { font-weight: 600; }
.scores .true svg { fill: var(--right); }
figure { margin: 1rem 0; } figure img { display: block; width: 100%; min-width: 40rem;
  max-width: 60rem; background: #fff; border-radius: 4px; }
pre { background: var(--stripe); padding: .8rem; overflow-x: auto; font-size: .75rem; }
@media (max-width: 40rem) {
  .stack thead { display: none; } .stack { overflow-wrap: anywhere; }
  td.whole { white-space: normal; }
  .stack, .stack tbody, .stack tr, .stack th, .stack td { display: block; text-align: left; }
  .stack tr { padding: .4rem 0; } .stack tbody th { font-weight: 600; }
  .stack td:empty { display: none; }
  .stack td::before { content: attr(data-of) ": "; color: var(--quiet); } }
@media print { * { print-color-adjust: exact; } nav { display: none; } }
"""
