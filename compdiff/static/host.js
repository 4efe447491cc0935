// For a page without a kernel: each stepper on it gets a model of plain JSON. Nothing is fetched.
for (const host of document.querySelectorAll('.cd-host:not([data-open])')) {
  host.dataset.open = '1'
  const state = JSON.parse(host.querySelector('script[type="application/json"]').textContent), listeners = {}
  const model = {
    get: key => state[key],
    set: (key, value) => { state[key] = value; (listeners[`change:${key}`] ?? []).forEach(act => act()) },
    save_changes: () => {},
    on: (event, act) => (listeners[event] ??= []).push(act),
    off: (event, act) => { listeners[event] = (listeners[event] ?? []).filter(one => one !== act) },
  }
  const place = host.querySelector('.cd-place'), source = host.querySelector('script[type="text/x-module"]').textContent
  const module = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })))
  place.replaceChildren()
  module.default.render({ model, el: place })
}
