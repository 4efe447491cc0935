// What tests/test_lab.py does in JupyterLab, through the application object that it shows to tests.
window.lab = (() => {
  const app = window.jupyterapp, outcomes = {}, panels = {}
  const within = (seconds, what, promise) => Promise.race([promise,
    new Promise((_, refuse) => setTimeout(() => refuse(`${what}: not within ${seconds} s`), seconds * 1000))])
  let front = Promise.resolve() // "Run All Cells" acts on the notebook in front: they come there one by one

  async function open(path) {
    const panel = panels[path] = await app.commands.execute('docmanager:open', { path, factory: 'Notebook' })
    await panel.context.ready
    await panel.sessionContext.ready // a kernel of its own, hence a fresh one
    app.shell.activateById(panel.id)
    return panel
  }

  async function start(path) {
    const panel = await open(path)
    return { panel, all: app.commands.execute('notebook:run-all-cells') }
  }

  function outputsOf(cell) { return Array.from({ length: cell.outputs.length }, (_, i) => cell.outputs.get(i).toJSON()) }

  async function unseen(panel) { // cells whose widget does not come to be drawn
    const missing = []
    for (const [i, { model, node }] of panel.content.widgets.entries()) {
      if (model.type !== 'code' || !outputsOf(model).some(one => one.data?.['application/vnd.jupyter.widget-view+json'])) continue
      await panel.content.scrollToItem(i, 'center')
      const drawn = () => node.querySelector('.jupyter-widgets-view, .jupyter-widgets') && !/Loading widget|Error \w+ widget/.test(node.textContent)
      for (let wait = 0; wait < 100 && !drawn(); wait++) await new Promise(go => setTimeout(go, 100))
      if (!drawn()) missing.push(model.sharedModel.source)
    }
    return missing
  }

  async function run(path) {
    const started = front.then(() => within(120, 'open', start(path)))
    front = started.catch(() => {})
    const { panel, all } = await started
    const complete = await within(600, 'run', all), cells = [...panel.content.model.cells].filter(cell => cell.type === 'code')
    return { complete, unseen: await unseen(panel),
      left: cells.filter(cell => cell.sharedModel.source.trim() && cell.executionCount === null).length,
      errors: cells.flatMap(outputsOf).filter(one => one.output_type === 'error').map(one => `${one.ename}: ${one.evalue}`) }
  }

  async function glance(path) { // it opens, and its kernel answers
    const opened = front.then(() => within(120, 'open', open(path)))
    front = opened.catch(() => {})
    await opened
    return { complete: await ask(path, '6 * 7') === '42', unseen: [], left: 0, errors: [] }
  }

  const failed = error => ({ errors: [String(error)] })
  const outcome = path => outcomes[path] ??= run(path).catch(failed)

  // The panel stays: one that goes while JupyterLab moves the focus makes it complain of its own (`footer` of null).
  async function close(path) {
    const context = panels[path]?.sessionContext, waiting = () => context?.session?.kernel?._futures?.size
    for (let wait = 0; wait < 50 && waiting(); wait++) await new Promise(go => setTimeout(go, 100)) // JupyterLab complains of requests cut off
    await context?.shutdown()
  }

  function runAll(paths, only, atOnce) { // those that have not run yet, some of them only opened; to be asked for by `outcome`
    const waiting = paths.filter(path => !outcomes[path]), ready = {}
    for (const path of waiting) outcomes[path] = new Promise(tell => { ready[path] = tell })
    const next = async () => {
      for (let path; (path = waiting.shift());) {
        ready[path](await (only.includes(path) ? glance : run)(path).catch(failed))
        await close(path).catch(() => {})
      }
    }
    for (let i = 0; i < atOnce; i++) next()
  }

  async function ask(path, expression) { // the kernel's answer, as Python writes it
    const request = { code: '', silent: true, store_history: false, user_expressions: { answer: expression } }
    const { content } = await within(60, expression, panels[path].sessionContext.session.kernel.requestExecute(request).done)
    const { answer } = content.user_expressions
    return answer.status === 'ok' ? answer.data['text/plain'] : `${answer.ename}: ${answer.evalue}`
  }

  return { outcome, runAll, ask, close }
})()
