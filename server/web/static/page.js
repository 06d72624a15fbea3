// Keys and copying. Everything here has a visible control and works without it: rows are links, copying is selecting.
(() => {
  const typing = (element) => element.matches("input, textarea, select, [contenteditable]");
  const places = { f: "/", n: "/noise", h: "/health", c: "/connect", s: "/settings" };
  let going = false;

  const step = (selector, by) => {
    const all = [...document.querySelectorAll(selector)];
    const now = all.findIndex((one) => one === document.activeElement);
    const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
    if (next) next.focus();
  };
  const section = (by) => {
    const all = [...document.querySelectorAll("main section[id]")];
    const tops = all.map((one) => one.getBoundingClientRect().top);
    const next = by > 0 ? all.find((_, at) => tops[at] > 8) : all.findLast((_, at) => tops[at] < -8);
    if (next) next.scrollIntoView();
  };

  document.addEventListener("keydown", (event) => {
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (going && places[event.key]) location.assign(places[event.key]);
    going = event.key === "g";
    const acts = {
      j: () => step("[data-row] h3 a", 1),
      k: () => step("[data-row] h3 a", -1),
      "]": () => section(1),
      "[": () => section(-1),
      "/": () => document.getElementById("q")?.focus(),
      "?": () => location.assign("/help"),
    };
    if (acts[event.key]) {
      event.preventDefault();
      acts[event.key]();
    }
  });

  const copy = async (button) => {
    const words = button.dataset.copyFrom
      ? await (await fetch(button.dataset.copyFrom)).text()
      : document.getElementById(button.dataset.copy).textContent;
    await navigator.clipboard.writeText(words);
    const before = [...button.childNodes];
    button.replaceChildren("Copied");
    setTimeout(() => button.replaceChildren(...before), 1500);
  };
  const show = () => {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("[data-copy][hidden], [data-copy-from][hidden]")) button.hidden = false;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy], [data-copy-from]");
    if (button && !button.textContent.startsWith("Copied")) copy(button);
  });
  document.addEventListener("htmx:after:swap", show);
  show();
})();
