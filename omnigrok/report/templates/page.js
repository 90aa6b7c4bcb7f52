(() => {
  "use strict";
  // Without this script everything is readable; it adds search, filters and copying.
  document.querySelectorAll("[data-script]").forEach((each) => { each.hidden = false; });

  const copied = async (button) => {
    const wanted = button.dataset.copy;
    const text = wanted.startsWith("#") ? location.href.split("#")[0] + wanted : wanted;
    const before = button.innerHTML;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Copying is not allowed here";
    }
    setTimeout(() => { button.innerHTML = before; }, 1500);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (button) copied(button);
  });

  const opened = [];
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not([open])").forEach((each) => {
      each.open = true;
      opened.push(each);
    });
  });
  addEventListener("afterprint", () => {
    opened.splice(0).forEach((each) => { each.open = false; });
  });

  const form = document.querySelector("form.filters");
  if (!form) return;
  const KEYS = ["verdict", "protocol", "scale", "figure"];
  const items = [...document.querySelectorAll("[data-claim]")].map((node) => ({
    node,
    card: document.getElementById(node.dataset.claim),
    figure: node.dataset.figure,
    entries: node.dataset.entries.split(" ").map((entry) => entry.split("|")),
    text: `${node.dataset.claim} ${node.textContent}`.toLowerCase(),
  }));
  if (matchMedia("(min-width: 64rem)").matches) form.querySelector("details").open = true;

  const chosen = () => {
    const state = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (value.trim()) state.append(name, value.trim());
    }
    return state;
  };

  const fits = (item, state) => {
    const [verdicts, protocols, scales, figures] = KEYS.map((key) => state.getAll(key));
    const words = (state.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const among = (list, value) => !list.length || list.includes(value);
    return among(figures, item.figure) && words.every((word) => item.text.includes(word)) &&
      item.entries.some(([protocol, verdict, scale]) => among(protocols, protocol) &&
        among(verdicts, verdict) && among(scales, scale) &&
        (!scales.length || verdict !== "NOT-RUN"));
  };

  const show = () => {
    const state = chosen();
    const active = [...state.keys()].length > 0;
    let count = 0;
    const figures = new Set();
    for (const item of items) {
      const visible = fits(item, state);
      item.node.hidden = !visible;
      if (item.card && item.card !== item.node) item.card.hidden = !visible;
      if (visible) { count += 1; figures.add(item.figure); }
    }
    document.querySelectorAll("[data-figure]:is(section, li):not([data-claim])").forEach((each) => {
      each.hidden = active && !figures.has(each.dataset.figure);
    });
    document.querySelectorAll("details.absent").forEach((each) => {
      const some = each.querySelector("[data-claim]:not([hidden])") !== null;
      each.hidden = !some;
      each.open = active && some;
    });
    document.querySelector(".nothing").hidden = count > 0;
    form.querySelector("output").value = `${count} of ${items.length} claims`;
  };

  // The hash is either the id of something on the page, or the state of the filters.
  const read = () => {
    const hash = decodeURIComponent(location.hash.slice(1));
    const target = document.getElementById(hash);
    if (target) {
      if (target.closest("[hidden]")) { form.reset(); show(); target.scrollIntoView(); }
      return;
    }
    const state = new URLSearchParams(hash.includes("=") ? location.hash.slice(1) : "");
    form.elements.q.value = state.get("q") || "";
    form.elements.figure.value = state.get("figure") || "";
    form.querySelectorAll("input[type=checkbox]").forEach((box) => {
      box.checked = state.getAll(box.name).includes(box.value);
    });
    show();
  };

  const write = () => {
    show();
    const state = chosen().toString();
    history.replaceState(null, "", state ? `#${state}` : location.pathname + location.search);
  };
  form.addEventListener("input", write);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(write));
  addEventListener("hashchange", read);
  show();
  read();
})();
