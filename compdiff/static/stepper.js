// The emergence stepper: one drawing for JupyterLab, VS Code and Colab (anywidget) and for pages without a kernel.
// First the model, pure functions of the document whose schema `compdiff.stepper.document` states; then the drawing.
// All text of a run reaches the page by textContent or setAttribute, never as markup.

// ---- model ----

const Z = 1.959963984540054 // two-sided 95 %
const NEVER = Infinity

export function wilson(value, n) { // as compdiff.emergence.wilson
  const right = Math.round(value * n * 1e6) / 1e6
  const bound = (count, side) => {
    if (count === (side < 0 ? 0 : n)) return side < 0 ? 0 : 1
    const p = count / n, z2 = Z * Z / n
    return (p + z2 / 2 + side * Z * Math.sqrt(p * (1 - p) / n + z2 / (4 * n))) / (1 + z2)
  }
  return [bound(Math.floor(right), -1), bound(Math.ceil(right), 1)]
}

export function emergence(steps, values, threshold) { // as compdiff.emergence.emergence_interval
  const last = values.findLastIndex(value => value < threshold - 1e-9)
  return { lastBelow: last < 0 ? null : steps[last], emerged: steps[last + 1] ?? null }
}

export function quantile(values, share) { // linear between the neighbours, as numpy.quantile
  const sorted = [...values].sort((a, b) => (a > b) - (a < b)), place = share * (sorted.length - 1), i = Math.floor(place)
  const [low, high] = [sorted[i], sorted[i + 1] ?? sorted[i]]
  return low === high || place === i ? low : low + (high - low) * (place - i)
}

export function ranks(steps) { // places from 1; equal steps share the best one
  return steps.map(step => 1 + steps.filter(other => other < step).length)
}

export function spreadApart(wanted, gap, low, high) { // as compdiff.plots.spread_apart; wanted in increasing order
  const pools = []
  wanted.forEach((place, i) => {
    pools.push([place - gap * i, 1])
    while (pools.length > 1 && pools.at(-2)[0] > pools.at(-1)[0]) {
      const [b, m] = pools.pop(), [a, n] = pools.pop()
      pools.push([(a * n + b * m) / (n + m), n + m])
    }
  })
  const room = Math.max(low, high - gap * (wanted.length - 1))
  return pools.flatMap(([place, count]) => Array(count).fill(place))
    .map((place, i) => Math.min(Math.max(place, low), room) + gap * i)
}

export function lastAt(steps, step) { // index of the last evaluation at or before a step, -1 for none
  return steps.findLastIndex(one => one <= step)
}

export function series(run, i, measure, kind) { // one curve: class i's evaluations that hold a number
  const known = run[measure][i]
  const all = kind === 'independent'
    ? run.steps.map((_, t) => known.variables.reduce((product, values) => product * (values[t] ?? NaN), 1))
    : typeof kind === 'number' ? known.variables[kind] : known[kind]
  const out = { steps: [], values: [], n: [] }
  all?.forEach((value, t) => {
    if (!Number.isFinite(value)) return
    out.steps.push(run.steps[t]); out.values.push(value); out.n.push(run.n[i][t])
  })
  return out
}

export function band(curves) { // several runs' curves: median and quartiles of each run's last evaluation so far
  const steps = [...new Set(curves.flatMap(curve => curve.steps))].sort((a, b) => a - b), out = { steps: [], centre: [], low: [], high: [] }
  for (const step of steps) {
    const values = curves.map(curve => curve.values[lastAt(curve.steps, step)])
    if (values.includes(undefined)) continue
    out.steps.push(step)
    out.centre.push(quantile(values, 0.5)); out.low.push(quantile(values, 0.25)); out.high.push(quantile(values, 0.75))
  }
  return out
}

export function emergedIn(curves, threshold) { // of one run an interval, of several the median and how many
  const found = curves.map(curve => emergence(curve.steps, curve.values, threshold)), steps = found.map(one => one.emerged ?? NEVER)
  return { step: quantile(steps, 0.5), lastBelow: found.length === 1 ? found[0].lastBelow : undefined,
    count: steps.filter(Number.isFinite).length, runs: found.length }
}

export function unionSteps(doc) {
  return [...new Set(doc.groups.flatMap(group => group.runs.flatMap(run => run.steps)))].sort((a, b) => a - b)
}

export function shownRuns(group, name) { // the run of that name, or all that were evaluated
  const one = group.runs.filter(run => run.name === name)
  return (one.length ? one : group.runs).filter(run => run.steps.length)
}

export function scene(doc, group, { measure, curve, threshold, run }) { // what does not depend on the step
  const runs = shownRuns(group, run), kind = curve === 'additive' ? 'additive' : 'joint'
  const of = (i, what) => runs.map(one => series(one, i, measure, what)).filter(one => one.steps.length)
  const lines = doc.classes.map((name, i) => {
    const curves = of(i, kind), second = curve === 'both' ? of(i, 'additive') : []
    return { name, curves, ...band(curves), second: band(second), when: curves.length ? emergedIn(curves, threshold) : null }
  })
  const places = ranks(lines.map(line => line.when?.step ?? NEVER))
  lines.forEach((line, i) => { line.rank = places[i]; line.tied = places.filter(place => place === places[i]).length > 1 })
  return { runs, lines, order: lines.map((_, i) => i).sort((a, b) => places[a] - places[b] || a - b) }
}

export function lineAt(line, step) { // a line's number at the cursor with its interval: Wilson of one run, quartiles of several
  const t = lastAt(line.steps, step)
  if (t < 0) return null
  const one = line.curves.length === 1 ? line.curves[0] : null
  const [low, high] = one ? wilson(one.values[t], one.n[t]) : [line.low[t], line.high[t]]
  return { value: line.centre[t], low, high, n: one?.n[t], step: line.steps[t], runs: line.curves.length }
}

export function barLines(doc, runs, i, measure) { // a class by variable and in three combinations
  return [...doc.graph.variables.keys(), 'additive', 'independent', 'joint'].map(kind => {
    const curves = runs.map(run => series(run, i, measure, kind)).filter(one => one.steps.length)
    return { curves, ...band(curves) }
  })
}

const binary = doc => doc.graph.variables.every(variable => variable.values.length === 2)

export function conceptPath(doc, runs, i, measure, step) { // where class i's pictures lie: at each evaluation the share that shows each variable's second value
  if (!binary(doc)) return []
  const shown = doc.graph.variables.map((_, k) => band(runs.map(run => series(run, i, measure, k)).filter(one => one.steps.length)))
  return shown[0].steps.filter(one => one <= step).map((_, t) => shown.map(({ centre }, k) => doc.classes[i][k] === '1' ? centre[t] : 1 - centre[t]))
}

export function headline(doc, scenes, { step, chosen, threshold }) {
  if (step == null) return 'Nothing was evaluated yet'
  const i = doc.classes.indexOf(chosen), words = doc.graph.nodes.find(node => node.name === chosen)?.words
  const said = scenes.map(({ lines, runs }, g) => {
    const now = lines.map(line => lineAt(line, step)), known = now.filter(Boolean)
    const name = scenes.length > 1 ? `${doc.groups[g].name}: ` : ''
    if (!known.length) return `${name}nothing evaluated yet`
    const right = known.filter(one => one.value >= threshold - 1e-9).length, many = runs.length > 1 ? ` (median of ${runs.length} runs)` : ''
    const own = now[i] ? `${chosen}${scenes.length > 1 ? '' : ` (${words})`} at ${two(now[i].value)}` : `${chosen} not evaluated`
    return `${name}${right} of ${known.length} classes at ${+threshold.toFixed(2)} or above${many}; ${own}`
  })
  return `Step ${comma(step)}: ${said.join('. ')}`
}

export function whenText(when) {
  if (!when) return 'not evaluated'
  const some = when.runs > 1 ? `, ${when.count} of ${when.runs} runs` : ''
  if (when.step === NEVER) return `never${some}`
  if (when.runs > 1) return `${comma(when.step)}${some}`
  return when.lastBelow == null ? `${comma(when.step)} or before` : `${comma(when.lastBelow)} to ${comma(when.step)}`
}

export function table(doc) { // every number of the document as CSV
  const quote = cell => /[",\n\r]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell)
  const rows = [['group', 'run', 'seed', 'step', 'images', 'class', 'measure', 'variable', 'value', 'low', 'high', 'n']]
  const kinds = [...doc.graph.variables.map((v, k) => [v.name, k]), ['joint', 'joint'], ['additive', 'additive'], ['independent', 'independent']]
  for (const group of doc.groups) for (const run of group.runs) for (const measure of ['hard', 'prob'])
    doc.classes.forEach((name, i) => kinds.forEach(([variable, kind]) => {
      const { steps, values, n } = series(run, i, measure, kind)
      steps.forEach((step, t) => {
        const interval = wilson(values[t], n[t]).map(bound => +bound.toFixed(6))
        rows.push([group.name, run.name, run.seed ?? '', step, run.images[run.steps.indexOf(step)] ?? '', name, measure, variable, values[t], ...interval, n[t]])
      })
    }))
  return rows.map(row => row.map(quote).join(',')).join('\n') + '\n'
}

export function ticks(low, high, log) {
  if (!log) {
    const rough = (high - low) / 5 || 1, power = 10 ** Math.floor(Math.log10(rough))
    const gap = [1, 2, 5, 10].find(m => m * power >= rough) * power
    return Array.from({ length: Math.floor(high / gap) + 1 }, (_, i) => i * gap).filter(tick => tick >= low)
  }
  const out = []
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10)
    for (const m of [1, 2, 5]) if (m * power >= low && m * power <= high) out.push(m * power)
  return out
}

const two = value => value.toFixed(2)
const comma = step => step.toLocaleString('en-GB')
const clamp = (value, low, high) => Math.min(Math.max(value, low), high)

const CIVIDIS = [[0, 34, 78], [8, 51, 112], [53, 69, 108], [79, 87, 108], [102, 105, 112], [125, 124, 120], [148, 142, 119],
  [174, 163, 113], [200, 184, 102], [229, 207, 82], [254, 232, 56]]

export function shade(value) { // cividis, and black or white, whichever reads better on it
  const place = clamp(value, 0, 1) * 10, i = Math.min(9, Math.floor(place))
  const rgb = CIVIDIS[i].map((low, c) => Math.round(low + (CIVIDIS[i + 1][c] - low) * (place - i)))
  const light = rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  return { fill: `rgb(${rgb})`, ink: 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] > 0.179 ? '#000' : '#fff' }
}

// ---- drawing: small parts ----

const NS = 'http://www.w3.org/2000/svg'
const set = (node, attributes) => { for (const key in attributes) node.setAttribute(key, attributes[key]); return node }
const s = (tag, attributes = {}, ...kids) => { const node = set(document.createElementNS(NS, tag), attributes); node.append(...kids); return node }
const h = (tag, attributes = {}, ...kids) => { const node = set(document.createElement(tag), attributes); node.append(...kids); return node }

// By distance from the training set and by place among the classes of one distance, as in compdiff.plots.
const DASHES = ['1.8 2.2', '8 2.7', '', '11 2.7 1.8 2.7', '4.5 1.8']
const MARKERS = [ngon(16), ngon(4, 45, 1.15), ngon(3, 0, 1.25), ngon(4, 0, 1.2), ngon(3, 180, 1.25), plus(0), plus(45), ngon(3, 270, 1.25), ngon(3, 90, 1.25),
  ngon(10, 0, 1.35, 0.45), ngon(5, 0, 1.1), ngon(6, 0, 1.1)]

function ngon(corners, turn = 0, size = 1, inner = 1) {
  const at = i => [(turn + 360 * i / corners - 90) * Math.PI / 180, size * (i % 2 ? inner : 1)]
  return r => 'M' + Array.from({ length: corners }, (_, i) => at(i)).map(([a, k]) => `${(r * k * Math.cos(a)).toFixed(2)} ${(r * k * Math.sin(a)).toFixed(2)}`).join('L') + 'Z'
}

function plus(turn) {
  const corners = [[-1, -3], [1, -3], [1, -1], [3, -1], [3, 1], [1, 1], [1, 3], [-1, 3], [-1, 1], [-3, 1], [-3, -1], [-1, -1]]
  const [c, d] = [Math.cos(turn * Math.PI / 180), Math.sin(turn * Math.PI / 180)]
  return r => 'M' + corners.map(([x, y]) => `${(r * 0.36 * (x * c - y * d)).toFixed(2)} ${(r * 0.36 * (x * d + y * c)).toFixed(2)}`).join('L') + 'Z'
}

function looks(doc) { // class -> colour, dash, marker and words
  const seen = {}
  return doc.classes.map(name => {
    const node = doc.graph.nodes.find(one => one.name === name), d = node.distance % 5, place = seen[d] = (seen[d] ?? -1) + 1
    return { ...node, colour: `var(--cd-d${d})`, dash: DASHES[d], marker: MARKERS[place % MARKERS.length] }
  })
}

const pathOf = points => points.length ? 'M' + points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L') : ''

function press(node, act) { // click, Enter and space
  node.addEventListener('click', act)
  node.addEventListener('keydown', event => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); event.stopPropagation(); act(event) } })
}

function interval(now) {
  if (now.runs > 1) return `median of ${now.runs} runs; quartiles ${two(now.low)} to ${two(now.high)}`
  return `95 % interval ${two(now.low)} to ${two(now.high)}; ${now.n} pictures`
}

// ---- drawing: the curves ----

function curvesPanel(app, group) {
  const { doc, look } = app, svg = s('svg', { class: 'cd-curves', role: 'group', 'aria-label': 'Accuracy of each class against training steps' })
  const grid = s('g', { class: 'cd-grid' }), bands = s('g'), singles = s('g', { class: 'cd-singles' }), lines = s('g'), labels = s('g'), dots = s('g'), marks = s('g')
  const veil = s('rect', { class: 'cd-veil' }), cursor = s('line', { class: 'cd-cursor' }), rule = s('line', { class: 'cd-rule' })
  const area = s('rect', { class: 'cd-area', fill: 'transparent' })
  const pill = s('text', { class: 'cd-pill-text', 'text-anchor': 'middle', 'dominant-baseline': 'central' })
  const handle = s('g', { class: 'cd-threshold', role: 'slider', tabindex: 0, 'aria-label': 'threshold of accuracy', 'aria-valuemin': 0.05, 'aria-valuemax': 1,
    'aria-orientation': 'vertical' }, s('rect', { class: 'cd-grip', x: -26, y: -16, width: 52, height: 32 }), s('rect', { class: 'cd-pill', x: -19, y: -9.5, width: 38, height: 19, rx: 9.5 }), pill)
  const parts = look.map((one, i) => {
    const style = { stroke: one.colour, 'stroke-dasharray': one.dash, fill: 'none' }
    const part = { hit: s('path', { class: 'cd-hit' }), line: s('path', { class: 'cd-line', 'data-class': one.name, ...style }),
      second: s('path', { class: 'cd-second', 'data-class': one.name, stroke: one.colour, fill: 'none' }), band: s('path', { class: 'cd-band', fill: one.colour }),
      dot: s('path', { class: 'cd-dot', fill: one.colour }), mark: s('path', { class: 'cd-mark', fill: one.colour }),
      label: s('g', { class: 'cd-label' }, s('path', { class: 'cd-lead', stroke: one.colour }), s('path', { d: one.marker(4), fill: one.colour }), s('text', { x: 8, 'dominant-baseline': 'central' }, one.name)) }
    part.all = s('g', { class: 'cd-curve' }, part.second, part.line, part.hit)
    for (const target of [part.hit, part.label]) target.addEventListener('click', event => { event.stopPropagation(); app.put('chosen', one.name) })
    bands.append(part.band); dots.append(part.dot); labels.append(part.label); marks.append(part.mark)
    part.i = i
    return part
  })
  svg.append(grid, bands, singles, area, lines, veil, rule, cursor, dots, marks, labels, handle)
  const box = { left: 30, top: 12, right: 22 + 8 * Math.max(...look.map(one => one.name.length)), bottom: 34 }
  let x = () => 0, y = () => 0, now

  function axes(width) {
    const height = clamp(width * 0.52, 230, 400), steps = app.steps.filter(step => app.get('axis') !== 'log' || step > 0)
    const log = app.get('axis') === 'log' && steps.length > 0, shown = steps.length ? steps : [1, 10]
    let [low, high] = log ? [shown[0] / 1.06, shown.at(-1) * 1.06] : [Math.min(0, shown[0]), shown.at(-1) * 1.02 || 1]
    const right = width - box.right, bottom = height - box.bottom, f = log ? Math.log : value => value
    x = step => box.left + (f(Math.max(step, log ? low : -Infinity)) - f(low)) / (f(high) - f(low)) * (right - box.left)
    y = value => bottom - value * (bottom - box.top)
    set(svg, { width, height, viewBox: `0 0 ${width} ${height}` })
    const every = ticks(low, high, log).filter((tick, i, all) => i === 0 || x(tick) - x(all[i - 1]) > 30 || width > 600)
    grid.replaceChildren(
      ...[0, 0.25, 0.5, 0.75, 1].map(value => s('line', { x1: box.left, x2: right, y1: y(value), y2: y(value) })),
      ...[0, 0.5, 1].map(value => s('text', { x: box.left - 7, y: y(value), 'text-anchor': 'end', 'dominant-baseline': 'central' }, String(value))),
      ...every.map(tick => s('text', { x: x(tick), y: bottom + 14, 'text-anchor': 'middle' }, comma(tick))),
      s('text', { x: box.left, y: height - 3, class: 'cd-axis' }, log ? 'training steps, log scale' : 'training steps'))
    set(area, { x: box.left, y: box.top, width: Math.max(0, right - box.left), height: bottom - box.top })
    return { width, height, right, bottom }
  }

  function place(width, view) {
    now = { view, ...axes(width) }
    const { lines: all } = view, chosen = app.get('chosen')
    parts.forEach((part, i) => {
      const line = all[i], points = line.steps.map((step, t) => [x(step), y(line.centre[t])]), d = pathOf(points)
      set(part.line, { d }); set(part.hit, { d })
      set(part.second, { d: pathOf(line.second.steps.map((step, t) => [x(step), y(line.second.centre[t])])) })
      const many = line.curves.length > 1
      set(part.band, { d: many ? pathOf([...line.steps.map((step, t) => [x(step), y(line.high[t])]), ...line.steps.map((step, t) => [x(step), y(line.low[t])]).reverse()]) + 'Z' : '' })
      for (const node of [part.all, part.band, part.label, part.mark]) node.classList.toggle('cd-on', line.name === chosen)
    })
    lines.append(...parts.filter(part => !part.all.classList.contains('cd-on')).map(part => part.all), ...parts.filter(part => part.all.classList.contains('cd-on')).map(part => part.all))
    const own = all.find(line => line.name === chosen)
    singles.replaceChildren(...(own && own.curves.length > 1 && app.get('run') === '*' ? own.curves.map(curve =>
      s('path', { class: 'cd-single', stroke: look[all.indexOf(own)].colour, d: pathOf(curve.steps.map((step, t) => [x(step), y(curve.values[t])])) })) : []))
    ends(all); raise(all)
  }

  function ends(all) { // names right of the plot, apart from one another
    const named = all.map((line, i) => ({ i, value: line.centre.at(-1), step: line.steps.at(-1) })).filter(end => end.value != null).sort((a, b) => b.value - a.value || a.i - b.i)
    const gap = Math.min(15, (now.bottom - box.top + 16) / Math.max(named.length, 1)), places = spreadApart(named.map(end => y(end.value)), gap, box.top - 6, now.bottom + 6)
    parts.forEach(part => part.label.setAttribute('visibility', 'hidden'))
    named.forEach((end, k) => {
      const label = parts[end.i].label, left = now.right + 16, fromX = x(end.step) - left, fromY = y(end.value) - places[k]
      set(label, { transform: `translate(${left} ${places[k].toFixed(1)})`, visibility: 'visible' })
      set(label.firstChild, { d: `M${fromX.toFixed(1)} ${fromY.toFixed(1)}L-6 0` })
      label.lastChild.style.fontSize = gap < 13 ? '10px' : ''
    })
  }

  function raise(all) { // the threshold, and on it a mark where each class emerges
    const threshold = app.get('threshold'), seen = {}
    set(rule, { x1: box.left, x2: now.right, y1: y(threshold), y2: y(threshold) })
    set(handle, { transform: `translate(${box.left + 24} ${y(threshold)})`, 'aria-valuenow': threshold, 'aria-valuetext': two(threshold) })
    pill.textContent = two(threshold)
    all.forEach((line, i) => {
      const step = line.when?.step, stack = seen[step] = (seen[step] ?? -1) + 1, there = step != null && step !== NEVER
      set(parts[i].mark, { d: there ? look[i].marker(4.2) : '', transform: there ? `translate(${x(step)} ${y(threshold) + 10 * stack})` : '' })
    })
  }

  function update() {
    const step = app.get('step'), at = step == null ? box.left : x(step)
    set(cursor, { x1: at, x2: at, y1: box.top - 4, y2: now.bottom })
    set(veil, { x: at, y: box.top - 8, width: Math.max(0, now.right - at + 6), height: now.bottom - box.top + 12 })
    now.view.lines.forEach((line, i) => {
      const t = lastAt(line.steps, step ?? -1)
      set(parts[i].dot, { d: t < 0 ? '' : look[i].marker(3.6), transform: t < 0 ? '' : `translate(${at.toFixed(1)} ${y(line.centre[t]).toFixed(1)})` })
    })
  }

  const local = event => { const b = svg.getBoundingClientRect(); return [event.clientX - b.left, event.clientY - b.top] }
  const nearest = px => app.steps.reduce((best, step) => Math.abs(x(step) - px) < Math.abs(x(best) - px) ? step : best, app.steps[0])
  const scrub = event => { if (app.steps.length) app.put('step', nearest(local(event)[0])) }
  area.addEventListener('pointerdown', event => { area.setPointerCapture(event.pointerId); scrub(event) })
  area.addEventListener('pointermove', event => { if (area.hasPointerCapture(event.pointerId)) scrub(event) })
  const drag = event => { const py = local(event)[1]; app.put('threshold', clamp(Math.round(100 * (now.bottom - py) / (now.bottom - box.top)) / 100, 0.05, 1)) }
  handle.addEventListener('pointerdown', event => { handle.setPointerCapture(event.pointerId); event.preventDefault(); handle.focus() })
  handle.addEventListener('pointermove', event => { if (handle.hasPointerCapture(event.pointerId)) drag(event) })
  handle.addEventListener('keydown', event => {
    const by = { ArrowUp: 0.01, ArrowRight: 0.01, ArrowDown: -0.01, ArrowLeft: -0.01, PageUp: 0.1, PageDown: -0.1, Home: -1, End: 1 }[event.key]
    if (!by) return
    event.preventDefault(); event.stopPropagation()
    app.put('threshold', clamp(Math.round(100 * (app.get('threshold') + by)) / 100, 0.05, 1))
  })
  svg.addEventListener('pointermove', event => hover(event, ...local(event)))
  svg.addEventListener('pointerleave', () => app.tip())
  function hover(event, px, py) {
    if (event.buttons || px > now.right + 12 || px < box.left) return app.tip()
    const step = nearest(px), found = now.view.lines.map(line => ({ line, now: lineAt(line, step) })).filter(one => one.now)
      .sort((a, b) => Math.abs(y(a.now.value) - py) - Math.abs(y(b.now.value) - py) || (b.line.name === app.get('chosen')) - (a.line.name === app.get('chosen')))[0]
    if (!found || Math.abs(y(found.now.value) - py) > 24) return app.tip()
    const same = now.view.lines.filter(line => line !== found.line && lineAt(line, step)?.value === found.now.value).length
    app.tip(event.clientX, event.clientY, `${found.line.name} ${app.words(found.line.name)}${same ? ` (and ${same} more)` : ''}`,
      `step ${comma(found.now.step)}: ${two(found.now.value)}`, interval(found.now))
  }
  return { svg, place, update }
}

// ---- drawing: the concept graph ----

function graphPanel(app) {
  const { doc } = app, { nodes, edges, size } = doc.graph, svg = s('svg', { class: 'cd-graph', role: 'group', 'aria-label': 'Concept graph: classes coloured by accuracy' })
  const lines = edges.map(() => s('path', { class: 'cd-edge' })), axes = s('g', { class: 'cd-axes' })
  const parts = nodes.map(node => {
    const index = doc.classes.indexOf(node.name), known = index >= 0
    const ring = s('path', { class: 'cd-ring' }), body = s('path', { class: 'cd-body' }), name = s('text', { class: 'cd-name' }, node.name), number = s('text', { class: 'cd-number' })
    const all = s('g', known ? { class: 'cd-node', role: 'button', tabindex: 0, 'data-class': node.name, 'aria-pressed': false } : { class: 'cd-node cd-unknown', 'data-class': node.name, 'aria-hidden': true }, ring, body, name, number)
    if (known) {
      press(all, () => app.put('chosen', node.name))
      const show = () => { const b = body.getBoundingClientRect(), now = part.now; app.tip(b.left + b.width / 2, b.top, `${node.name} ${node.words}${node.trained ? ' (in training)' : `, distance ${node.distance}`}`, now ? `step ${comma(now.step)}: ${two(now.value)}` : 'not evaluated', now ? interval(now) : '') }
      all.addEventListener('pointerenter', show); all.addEventListener('focus', () => { if (all.matches(':focus-visible')) show() })
      all.addEventListener('pointerleave', () => app.tip()); all.addEventListener('blur', () => app.tip())
    }
    const part = { node, index, known, ring, body, name, number, all }
    return part
  })
  const trail = s('path', { class: 'cd-trail' }), here = s('path', { class: 'cd-here', d: ngon(16)(6) })
  svg.append(...lines, axes, trail, here, ...parts.map(part => part.all))
  let view, spot

  function place(width, scene) {
    view = scene
    const long = Math.max(...nodes.map(node => node.name.length)), margin = { left: 44, right: 28, top: 28 }
    const fit = (wide, label) => { const room = width - margin.left - margin.right, unit = room / Math.max(wide, 0.01); return Math.min((room - Math.max(0, label - 0.42 * unit)) / Math.max(wide, 0.01), 132) }
    const tall = doc.graph.variables.length === 4 && fit(size[0], 0) < 84, { spots, wide, high } = tall ? stacked() : { spots: nodes.map(flat), wide: size[0], high: size[1] }
    const label = doc.graph.variables[2]?.values.join(' → ').length * 6.4 || 0, beside = fit(wide, label) > 110
    const unit = fit(wide, beside ? label : 0), r = clamp(unit * 0.2, 13 + Math.max(0, long - 3), 22), left = Math.max(margin.left, (width - unit * wide) / 2)
    margin.bottom = r + 8 + 17 * (doc.graph.variables.length > 3 && !tall ? 2 : 1) + (beside || !label ? 0 : 17)
    const height = margin.top + margin.bottom + unit * high, at = node => { const [a, b] = spots[nodes.indexOf(node)]; return [left + unit * a, margin.top + unit * (high - b)] }
    set(svg, { width, height, viewBox: `0 0 ${width} ${height}` })
    edges.forEach(([a, b, bent], k) => {
      const [p, q] = [at(nodes[a]), at(nodes[b])], c = [(p[0] + q[0]) / 2 + (bent ? (q[1] - p[1]) * 0.25 : 0), (p[1] + q[1]) / 2 - (bent ? Math.abs(q[0] - p[0]) * 0.16 : 0)]
      lines[k].setAttribute('d', `M${p}Q${c} ${q}`)
    })
    const square = [[-1, -1], [1, -1], [1, 1], [-1, 1]], shape = (trained, k) => trained ? pathOf(square.map(([a, b]) => [a * k * 0.92, b * k * 0.92])) + 'Z' : `M${-k} 0A${k} ${k} 0 1 1 ${k} 0A${k} ${k} 0 1 1 ${-k} 0Z`
    for (const part of parts) {
      const [px, py] = at(part.node), small = r < 18
      set(part.all, { transform: `translate(${px.toFixed(1)} ${py.toFixed(1)})` })
      set(part.body, { d: shape(part.node.trained, r) }); set(part.ring, { d: shape(part.node.trained, r + 4.5) })
      set(part.name, { y: -r * 0.28, 'font-size': small ? 9.5 : 11 }); set(part.number, { y: r * 0.42, 'font-size': small ? 10.5 : 13 })
    }
    names(at, r, tall, beside)
    spot = at
  }

  function pathTo(i, step) { // the way of a class's pictures in the drawing, in which each variable has a direction
    const path = conceptPath(doc, view.runs, i, app.get('measure'), step)
    if (!path.length) return []
    const zero = nodes[0].name, unit = k => nodes.find(node => node.name === zero.slice(0, k) + '1' + zero.slice(k + 1))
    const origin = spot(nodes[0]), arms = path[0].map((_, k) => spot(unit(k)).map((x, c) => x - origin[c]))
    return path.map(shares => origin.map((x, c) => shares.reduce((sum, share, k) => sum + share * arms[k][c], x)))
  }

  function flat(node) { return [node.place[0] * size[0], node.place[1] * size[1]] }

  function stacked() { // where there is no room beside: what the fourth variable moves to the right goes below
    const digit = node => parseInt(node.name[3], 36), first = nodes.filter(node => digit(node) === 0).map(flat), low = Math.max(...first.map(spot => spot[1])) + 0.75
    const shift = flat(nodes.find(node => node.name.startsWith('0001')))[0] - first[0][0], last = Math.max(...nodes.map(digit))
    const spots = nodes.map(node => { const [a, b] = flat(node), k = digit(node); return [a - k * shift, b + (last - k) * low] })
    return { spots, wide: Math.max(...spots.map(spot => spot[0])), high: Math.max(...spots.map(spot => spot[1])) }
  }

  function names(at, r, tall, beside) { // the values of each variable, along its first edge or below
    const zero = '0'.repeat(doc.graph.variables.length), find = name => nodes.find(node => node.name === name)
    axes.replaceChildren(...doc.graph.variables.slice(0, 4).map((variable, k) => {
      const last = (variable.values.length - 1).toString(36), other = find(zero.slice(0, k) + last + zero.slice(k + 1)), text = variable.values.join(' → ')
      const [p, q] = [at(find(zero)), at(other)], mid = [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2]
      if (k === 1) return s('text', { transform: `translate(${p[0] - r - 10} ${mid[1]}) rotate(-90)`, 'text-anchor': 'middle' }, text)
      if (k === 2 && !beside) return s('text', { x: at(find(zero))[0] - r, y: p[1] + r + 33 }, `${text} into the depth`)
      if (k === 3 && tall) return s('text', { x: p[0] - r, y: at(find(zero))[1] + r + (beside ? 33 : 48) }, `${variable.values[0]} above, ${variable.values.slice(1).join(', ')} below`)
      if (k !== 2) return s('text', { x: k ? mid[0] : p[0] - r, y: p[1] + r + (k ? beside ? 33 : 48 : 18), 'text-anchor': k ? 'middle' : 'start' }, text)
      const corner = doc.graph.variables.map((v, j) => j === 0 || (j === 3 && !tall) ? (v.values.length - 1).toString(36) : '0').join(''), [right, low] = at(find(corner))
      return s('text', { x: right + r + 7, y: low, 'dominant-baseline': 'central' }, text) // beside the edge that leads into the depth
    }))
  }

  function update() {
    const step = app.get('step'), chosen = app.get('chosen'), i = doc.classes.indexOf(chosen)
    const path = step == null ? [] : pathTo(i, step)
    set(trail, { d: pathOf(path), stroke: app.look[i].colour })
    set(here, { fill: app.look[i].colour, visibility: path.length ? 'visible' : 'hidden', transform: `translate(${path.at(-1) ?? '0 0'})` })
    for (const part of parts) {
      const now = part.now = part.known && step != null ? lineAt(view.lines[part.index], step) : null, look = now ? shade(now.value) : null
      set(part.body, { fill: look?.fill ?? 'var(--cd-none)' })
      part.name.style.fill = part.number.style.fill = look?.ink ?? ''
      part.number.textContent = now ? two(now.value) : '–'
      if (part.known) set(part.all, { 'aria-pressed': part.node.name === chosen,
        'aria-label': `${part.node.name}, ${part.node.words}, ${part.node.trained ? 'in training' : `distance ${part.node.distance}`}: ${now ? two(now.value) : 'not evaluated'}` })
    }
  }
  return { svg, place, update }
}

// ---- drawing: the samples ----

const decoded = new Map() // data URL -> promise of an image; the same sheet is decoded once

function sheetOf(url) {
  if (!decoded.has(url)) {
    const image = new Image()
    image.src = url
    decoded.set(url, image.decode().then(() => image, () => null))
  }
  return decoded.get(url)
}

function samplesPanel(app, group) {
  const { doc } = app, canvas = h('canvas', { class: 'cd-samples', role: 'img' }), title = h('div', { class: 'cd-title' }), pen = canvas.getContext('2d')
  const el = h('div', { class: 'cd-panel cd-pictures' }, title, canvas)
  let run, sheet, wanted = 0, cell = 0, columns = 1, scale = 1

  function place(width, view) {
    run = view.runs.find(one => one.sprites) ?? null
    el.hidden = !run
    if (!run) return
    const { size, pictures } = run.sprites, gap = 4
    scale = globalThis.devicePixelRatio || 1
    columns = Math.min(pictures, pictures > 8 ? Math.ceil(pictures / 2) : pictures)
    while (columns > 4 && width / columns < 34) columns = Math.ceil(columns / 2)
    cell = Math.min(Math.floor((width - gap * (columns - 1)) / columns), Math.max(2 * size, 64))
    const rows = Math.ceil(pictures / columns), wide = columns * (cell + gap) - gap, high = rows * (cell + gap) - gap
    canvas.width = Math.round(wide * scale); canvas.height = Math.round(high * scale)
    canvas.style.width = `${wide}px`; canvas.style.height = `${high}px`
    const url = run.sprites.sheets[doc.classes.indexOf(app.get('chosen'))], turn = ++wanted
    sheet = null
    app.pending = sheetOf(url).then(image => { if (turn === wanted) { sheet = image; update() } })
  }

  function update() {
    if (!run) return
    const step = run.steps[lastAt(run.steps, app.get('step') ?? -1)], { size, pictures, steps, counts } = run.sprites, row = steps.indexOf(step), chosen = app.get('chosen')
    const many = group.runs.length > 1 ? `, ${run.seed == null ? run.name : `seed ${run.seed}`}` : ''
    title.textContent = row < 0 ? `No samples of ${chosen} to show at step ${step == null ? '–' : comma(step)}${many}` : `Samples of ${chosen} at step ${comma(step)}${many}: each keeps its starting noise`
    canvas.setAttribute('aria-label', title.textContent)
    pen.clearRect(0, 0, canvas.width, canvas.height)
    const px = Math.round(cell * scale)
    pen.imageSmoothingEnabled = px % size !== 0; pen.imageSmoothingQuality = 'high'
    pen.fillStyle = 'rgba(128,128,128,.15)'
    for (let k = 0; k < pictures; k++) {
      const left = Math.round((k % columns) * (cell + 4) * scale), top = Math.round(Math.floor(k / columns) * (cell + 4) * scale)
      if (sheet && row >= 0 && k < counts[row]) pen.drawImage(sheet, k * size, row * size, size, size, left, top, px, px)
      else pen.fillRect(left, top, px, px)
    }
  }
  return { el, place, update }
}

// ---- drawing: the bars ----

function barsPanel(app) {
  const { doc } = app, names = [...doc.graph.variables.map(v => v.name), 'additive', 'independent', 'product'], V = doc.graph.variables.length
  const said = { additive: 'additive (mean)', independent: 'if independent', product: 'product (all right)' }
  const svg = s('svg', { class: 'cd-bars', role: 'group', 'aria-label': 'The chosen class by variable' })
  const parts = names.map((name, i) => {
    const own = i >= V, part = { bar: s('rect', { class: `cd-bar cd-bar-${own ? name : 'variable'}`, 'data-name': name, height: 13, rx: 1.5 }), label: s('text', { class: 'cd-bar-label', 'dominant-baseline': 'central' }, own ? said[name] : name),
      whisker: s('path', { class: 'cd-whisker' }), number: s('text', { class: 'cd-bar-number', 'dominant-baseline': 'central' }) }
    part.all = s('g', {}, part.label, part.bar, part.whisker, part.number)
    part.all.addEventListener('pointermove', event => { if (part.now) app.tip(event.clientX, event.clientY, own ? said[name] : `${name} right`, `step ${comma(part.now.step)}: ${two(part.now.value)}`, name === 'independent' ? '' : interval(part.now)) })
    part.all.addEventListener('pointerleave', () => app.tip())
    return part
  })
  const line = s('line', { class: 'cd-base' }), split = s('line', { class: 'cd-split' })
  svg.append(split, ...parts.map(part => part.all), line)
  let lines, left, room

  function place(width, view) {
    const i = doc.classes.indexOf(app.get('chosen'))
    lines = i < 0 ? [] : barLines(doc, view.runs, i, app.get('measure'))
    left = 136; room = width - left - 40
    const height = names.length * 21 + 12
    set(svg, { width, height, viewBox: `0 0 ${width} ${height}` })
    parts.forEach((part, i) => {
      const y = 11 + i * 21 + (i >= V ? 8 : 0)
      set(part.label, { x: left - 8, y, 'text-anchor': 'end' }); set(part.bar, { x: left, y: y - 6.5 }); set(part.number, { y }); part.y = y
    })
    set(line, { x1: left, x2: left, y1: 0, y2: height }); set(split, { x1: 0, x2: width, y1: 4 + V * 21, y2: 4 + V * 21 })
  }

  function update() {
    const step = app.get('step')
    parts.forEach((part, k) => {
      const now = part.now = step == null || !lines[k] ? null : lineAt(lines[k], step), known = now != null
      set(part.bar, { width: known ? Math.max(now.value * room, 0.5) : 0, 'data-value': known ? +now.value.toFixed(6) : '' })
      set(part.whisker, { d: known && names[k] !== 'independent' ? `M${left + now.low * room} ${part.y}H${left + now.high * room}` : '' })
      set(part.number, { x: left + room + 6 }); part.number.textContent = known ? two(now.value) : '–'
    })
  }
  return { svg, place, update }
}

// ---- drawing: order and legend ----

function orderPanel(app) {
  const { look } = app, list = h('ol', { class: 'cd-order' })
  const parts = look.map(one => {
    const swatch = s('svg', { width: 34, height: 12, viewBox: '0 0 34 12', 'aria-hidden': true }, s('path', { d: 'M1 6H33', stroke: one.colour, 'stroke-dasharray': one.dash, 'stroke-width': 2 }), s('path', { d: one.marker(4), fill: one.colour, transform: 'translate(17 6)' }))
    const part = { rank: h('span', { class: 'cd-rank' }), when: h('span', { class: 'cd-when' }) }
    part.key = h('button', { type: 'button', class: 'cd-key', 'data-class': one.name }, part.rank, swatch, h('span', { class: 'cd-code' }, one.name), h('span', { class: 'cd-words' }, one.words), part.when)
    part.key.addEventListener('click', () => app.put('chosen', one.name))
    part.item = h('li', {}, part.key)
    return part
  })
  function place(_, view) {
    view.lines.forEach((line, i) => {
      parts[i].rank.textContent = line.when == null || line.when.step === NEVER ? '–' : `${line.rank}${line.tied ? '=' : ''}`
      parts[i].when.textContent = whenText(line.when)
      parts[i].key.setAttribute('aria-pressed', line.name === app.get('chosen'))
    })
    const wanted = view.order.map(i => parts[i].item)
    if (wanted.some((item, k) => list.children[k] !== item)) list.replaceChildren(...wanted)
  }
  return { list, place }
}

// ---- drawing: a group of runs, all panels ----

function groupBlock(app, group) {
  const curves = curvesPanel(app, group), graph = graphPanel(app), samples = samplesPanel(app, group), bars = barsPanel(app), order = orderPanel(app)
  const titles = { curves: h('div', { class: 'cd-title' }), graph: h('div', { class: 'cd-title' }), bars: h('div', { class: 'cd-title' }), order: h('div', { class: 'cd-title' }) }
  const panel = (kind, ...kids) => h('div', { class: `cd-panel cd-panel-${kind}` }, titles[kind], ...kids)
  const frame = { curves: panel('curves', curves.svg), graph: panel('graph', graph.svg, scaleBar()), bars: panel('bars', bars.svg), order: panel('order', order.list) }
  const el = h('section', { class: 'cd-group' }, h('div', { class: 'cd-left' }, frame.curves, frame.order), h('div', { class: 'cd-right' }, frame.graph, samples.el, frame.bars))
  const about = h('div', { class: 'cd-about' })
  if (app.doc.groups.length > 1) el.prepend(h('div', { class: 'cd-group-name' }, group.name), about); else el.prepend(about)
  el.setAttribute('aria-label', group.name || 'run')
  let view

  function place() {
    view = scene(app.doc, group, app.all())
    const prob = app.get('measure') === 'prob', of = { product: prob ? 'Mean probability of all wanted values' : 'Share of pictures with every variable right', additive: prob ? 'Mean probability over variables' : 'Mean accuracy over variables',
      both: prob ? 'Mean probability of all wanted values; thin: mean over variables' : 'Share of pictures with every variable right; thin: mean over variables' }
    titles.curves.textContent = of[app.get('curve')]
    titles.order.textContent = `Steps between which a class comes to stay at ${two(app.get('threshold'))}, in order`
    const wide = node => Math.max(240, Math.floor(node.clientWidth)) // 0 where it is not laid out yet
    curves.place(wide(frame.curves), view); graph.place(wide(frame.graph), view); samples.place(wide(frame.graph), view)
    bars.place(wide(frame.bars), view); order.place(0, view)
  }
  function update() {
    const step = app.get('step'), chosen = app.get('chosen')
    titles.graph.textContent = step == null ? 'Concept graph' : `Concept graph at step ${comma(view.runs.length === 1 ? view.runs[0].steps[lastAt(view.runs[0].steps, step)] ?? step : step)}; squares are in training${binary(app.doc) ? `, the line is where pictures of ${chosen} lie` : ''}`
    titles.bars.textContent = `${chosen} by variable, and combined`
    about.textContent = aboutText(group, view.runs, step)
    curves.update(); graph.update(); samples.update(); bars.update()
  }
  return { el, place, update, scene: () => view }
}

function aboutText(group, runs, step) {
  const notes = group.runs.filter(run => run.note).map(run => group.runs.length > 1 ? `${run.name}: ${run.note}` : run.note)
  const one = runs.length === 1 ? runs[0] : null, t = one ? lastAt(one.steps, step ?? -1) : -1, facts = []
  if (one) {
    facts.push(one.name, one.seed == null ? '' : `seed ${one.seed}`, one.status)
    if (t >= 0 && one.images[t] != null) facts.push(`${comma(one.images[t])} training images`)
    if (t >= 0 && one.seconds[t] != null) facts.push(`${one.seconds[t].toFixed(one.seconds[t] < 10 ? 1 : 0)} s`)
    if (t >= 0) facts.push(`${one.n[0][t] ?? '–'} samples a class`)
  } else facts.push(group.runs.length === 1 ? `${group.runs[0].name}, ${group.runs[0].status}` : `${group.runs.length} runs, medians and quartiles`)
  return [...facts.filter(Boolean), ...notes].join(' · ')
}

function scaleBar() {
  const slices = Array.from({ length: 40 }, (_, i) => s('rect', { x: i * 3, width: 3.5, height: 7, fill: shade(i / 39).fill }))
  return h('div', { class: 'cd-scale', 'aria-hidden': true }, '0', s('svg', { class: 'cd-ramp', width: 120, height: 7 }, ...slices), '1')
}

// ---- drawing: controls ----

function pick(app, key, label, options) { // a labelled select
  const box = h('select', { 'data-key': key }, ...options.map(([value, text]) => h('option', { value }, text)))
  box.addEventListener('change', () => app.put(key, typeof app.get(key) === 'number' ? +box.value : box.value))
  return { el: h('label', {}, `${label} `, box), update: () => { box.value = String(app.get(key)) } }
}

function optionsRow(app) {
  const runs = app.doc.groups.flatMap(group => group.runs.map(run => [run.name, `${app.doc.groups.length > 1 ? `${group.name}: ` : ''}${run.seed == null ? run.name : `seed ${run.seed}`}`]))
  const picks = [pick(app, 'measure', 'Measure', [['hard', 'hard: right or wrong'], ['prob', 'probability']]),
    pick(app, 'curve', 'Curve', [['product', 'product'], ['additive', 'additive'], ['both', 'both']]), pick(app, 'axis', 'Steps', [['log', 'log'], ['linear', 'linear']])]
  if (app.doc.groups.some(group => group.runs.length > 1)) picks.push(pick(app, 'run', 'Runs', [['', 'median and quartiles'], ['*', 'and single runs'], ...runs]))
  const save = (text, act) => { const button = h('button', { type: 'button', class: 'cd-save' }, text); button.addEventListener('click', act); return button }
  const el = h('div', { class: 'cd-options' }, ...picks.map(one => one.el), h('span', { class: 'cd-saves', role: 'group', 'aria-label': 'Save' }, 'Save ', save('PNG', () => savePng(app.root)), save('SVG', () => saveSvg(app.root)),
    save('CSV', () => download(new Blob([table(app.doc)], { type: 'text/csv' }), 'compdiff.csv'))))
  return { el, update: () => picks.forEach(one => one.update()) }
}

function topRow(app) {
  const state = h('output', { class: 'cd-state', 'aria-live': 'polite' })
  const play = h('button', { type: 'button', class: 'cd-play' }), icon = s('svg', { width: 14, height: 14, viewBox: '0 0 14 14', 'aria-hidden': true }), shape = s('path', { fill: 'currentColor' })
  icon.append(shape); play.append(icon)
  const slider = h('input', { type: 'range', class: 'cd-slider', min: 0, max: Math.max(0, app.steps.length - 1), step: 1, 'aria-label': 'evaluation' })
  const speed = pick(app, 'speed', 'Speed', [[1, '1 a second'], [2, '2 a second'], [4, '4 a second'], [8, '8 a second'], [16, '16 a second']])
  if (app.steps.length < 2) slider.disabled = play.disabled = true
  slider.addEventListener('input', () => app.put('step', app.steps[+slider.value]))
  play.addEventListener('click', () => app.put('playing', !app.get('playing')))
  const el = h('div', { class: 'cd-top' }, state, h('div', { class: 'cd-run' }, play, slider, speed.el))
  function update(text) {
    const i = lastAt(app.steps, app.get('step') ?? -1), playing = app.get('playing')
    slider.value = Math.max(i, 0)
    slider.setAttribute('aria-valuetext', i < 0 ? 'no evaluation' : `step ${comma(app.steps[i])}`)
    if (play.dataset.playing !== String(playing)) {
      play.dataset.playing = playing
      set(play, { 'aria-label': playing ? 'pause' : 'play' }); set(shape, { d: playing ? 'M2 1H5.5V13H2ZM8.5 1H12V13H8.5Z' : 'M2.5 1L12.5 7L2.5 13Z' })
      state.setAttribute('aria-live', playing ? 'off' : 'polite') // no flood of announcements
    }
    state.textContent = text; speed.update()
  }
  return { el, update }
}

// ---- saving the view ----

function download(blob, name) {
  const link = h('a', { href: URL.createObjectURL(blob), download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1e4)
}

const KEPT = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-opacity', 'opacity', 'visibility', 'font-family', 'font-size', 'font-weight', 'text-anchor', 'dominant-baseline', 'font-variant-numeric', 'paint-order', 'stroke-linejoin']

function styled(node) { // a copy of an svg element that carries its computed style
  const copy = node.cloneNode(false), style = getComputedStyle(node)
  for (const key of ['tabindex', 'role', 'class', 'style']) copy.removeAttribute(key)
  for (const key of KEPT) if (style.getPropertyValue(key)) copy.setAttribute(key, style.getPropertyValue(key))
  for (const kid of node.childNodes) copy.append(kid.nodeType === 1 ? styled(kid) : kid.cloneNode())
  return copy
}

function words(node, origin) { // a text node as svg texts, one a word, where the browser put them
  const style = getComputedStyle(node.parentElement), range = document.createRange()
  return [...node.data.matchAll(/\S+/g)].map(match => {
    range.setStart(node, match.index); range.setEnd(node, match.index + match[0].length)
    const box = range.getBoundingClientRect()
    return s('text', { x: box.left - origin.left, y: box.top - origin.top + box.height / 2, 'dominant-baseline': 'central', fill: style.color, 'font-family': style.fontFamily, 'font-size': style.fontSize, 'font-weight': style.fontWeight }, match[0])
  })
}

export function asSvg(root) { // the view without its controls as one svg element
  const origin = root.getBoundingClientRect(), out = s('svg', { xmlns: NS, width: origin.width, height: origin.height, viewBox: `0 0 ${origin.width} ${origin.height}` })
  out.append(s('rect', { width: '100%', height: '100%', fill: getComputedStyle(root).backgroundColor }))
  const visit = node => {
    if (node.nodeType === 3) return out.append(...words(node, origin))
    if (node.nodeType !== 1 || node.matches('.cd-run, .cd-options, .cd-tip, .cd-skip, [hidden]')) return
    const box = node.getBoundingClientRect(), frame = { x: box.left - origin.left, y: box.top - origin.top, width: box.width, height: box.height }
    if (node.matches('svg')) return out.append(set(styled(node), { ...frame, overflow: 'visible' }))
    if (node.matches('canvas')) return out.append(s('image', { ...frame, href: node.toDataURL() }))
    node.childNodes.forEach(visit)
  }
  visit(root)
  return out
}

const svgBlob = root => new Blob([new XMLSerializer().serializeToString(asSvg(root))], { type: 'image/svg+xml' })
const saveSvg = root => download(svgBlob(root), 'compdiff.svg')

async function savePng(root) {
  const image = new Image(), url = URL.createObjectURL(svgBlob(root))
  image.src = url
  await image.decode()
  const canvas = h('canvas', { width: image.width * 2, height: image.height * 2 })
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height)
  URL.revokeObjectURL(url)
  canvas.toBlob(blob => download(blob, 'compdiff.png'))
}

// ---- one document drawn, and the widget around it ----

function mount(root, model, doc) {
  const app = { root, doc, look: looks(doc), steps: unionSteps(doc), get: key => model.get(key),
    put: (key, value) => { if (model.get(key) !== value) { model.set(key, value); model.save_changes() } },
    all: () => Object.fromEntries(['step', 'chosen', 'measure', 'curve', 'threshold', 'run'].map(key => [key, model.get(key)])),
    words: name => doc.graph.nodes.find(node => node.name === name)?.words ?? '' }
  const tip = h('div', { class: 'cd-tip', role: 'tooltip', hidden: '' })
  app.tip = (x, y, ...lines) => {
    tip.hidden = x == null
    if (x == null) return
    const box = root.getBoundingClientRect()
    tip.replaceChildren(...lines.filter(Boolean).map(line => h('div', {}, line)))
    tip.style.left = `${clamp(x - box.left + 12, 4, Math.max(4, box.width - tip.offsetWidth - 4))}px`
    tip.style.top = `${Math.max(4, y - box.top - tip.offsetHeight - 10)}px`
  }
  const top = topRow(app), blocks = doc.groups.map(group => groupBlock(app, group)), options = optionsRow(app)
  root.replaceChildren(top.el, h('div', { class: `cd-groups cd-groups-${doc.groups.length}` }, ...blocks.map(block => block.el)), options.el, tip)
  app.update = () => { top.update(headline(doc, blocks.map(block => block.scene()), app.all())); blocks.forEach(block => block.update()) }
  app.place = () => { blocks.forEach(block => block.place()); options.update(); app.update() }
  return app
}

const sameSpot = node => node?.dataset?.class ? `.${node.classList[0]}[data-class="${CSS.escape(node.dataset.class)}"]` : node?.dataset?.key ? `[data-key="${node.dataset.key}"]` : node?.classList?.[0] ? `.${node.classList[0]}` : null

function render({ model, el }) {
  const root = h('div', { class: 'cd-stepper', tabindex: -1, role: 'group', 'aria-label': 'Emergence stepper' })
  el.append(root)
  let app, doc, step, timer, waiting = false, held = false, changed = new Set()

  function open() { // draw a document; a reader at the end goes with a run that grows, any other keeps the place
    const before = doc ? unionSteps(doc) : null, follows = !before || !before.length || step === before.at(-1), focus = sameSpot(root.contains(document.activeElement) ? document.activeElement : null)
    doc = model.get('data')
    app = mount(root, model, doc)
    if (before) app.put('step', follows ? app.steps.at(-1) ?? null : step)
    step = model.get('step')
    app.place()
    if (focus) root.querySelector(focus)?.focus()
    root.dataset.ready = '1'
  }
  function change() { // one drawing for all that changed together
    waiting = false
    if (changed.has('data') && held) { app.place(); changed = new Set(['data']); return } // after the drag
    if (changed.has('data')) open()
    else if (changed.size === 1 && changed.has('step')) app.update()
    else if (![...changed].every(key => key === 'playing' || key === 'speed' || key === 'step')) app.place()
    else app.update()
    if (changed.has('playing') || changed.has('speed')) tick()
    step = model.get('step'); changed = new Set()
  }
  const onChange = key => () => { changed.add(key); if (!waiting) { waiting = true; queueMicrotask(change) } }
  const go = by => { const i = lastAt(app.steps, model.get('step') ?? -1); if (app.steps.length) app.put('step', app.steps[clamp(i + by, 0, app.steps.length - 1)]) }
  function tick() {
    clearInterval(timer)
    if (!model.get('playing')) return
    if (model.get('step') === app.steps.at(-1)) app.put('step', app.steps[0])
    timer = setInterval(() => { if (model.get('step') === app.steps.at(-1) || !root.isConnected) app.put('playing', false); else go(1) }, 1000 / model.get('speed'))
  }
  function keys(event) {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && event.key !== 'Tab' && event.key !== 'Escape') event.stopPropagation() // JupyterLab would take them
    if (event.key === 'Escape') app.tip()
    const target = event.target, native = target.matches('select') || (target.matches('button') && event.key === ' ') || event.ctrlKey || event.metaKey || event.altKey
    const act = { ArrowRight: () => go(1), ArrowLeft: () => go(-1), Home: () => go(-Infinity), End: () => go(Infinity), ' ': () => app.steps.length > 1 && app.put('playing', !model.get('playing')) }[event.key]
    if (native || !act || event.defaultPrevented) return
    event.preventDefault(); act()
  }
  const names = ['data', 'step', 'chosen', 'measure', 'curve', 'axis', 'threshold', 'playing', 'speed', 'run'], handlers = names.map(name => [`change:${name}`, onChange(name)])
  handlers.forEach(([event, act]) => model.on(event, act))
  root.addEventListener('keydown', keys)
  root.addEventListener('pointerdown', () => { held = true })
  const release = () => { held = false; if (changed.has('data')) change() }
  globalThis.addEventListener?.('pointerup', release); globalThis.addEventListener?.('pointercancel', release)
  open(); tick()
  let width = root.clientWidth
  const observer = new ResizeObserver(() => { if (root.clientWidth && root.clientWidth !== width) { width = root.clientWidth; app.place() } })
  observer.observe(root)
  return () => {
    clearInterval(timer); observer.disconnect(); handlers.forEach(([event, act]) => model.off(event, act))
    globalThis.removeEventListener?.('pointerup', release); globalThis.removeEventListener?.('pointercancel', release)
  }
}

export default { render }
