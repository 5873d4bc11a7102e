// Refreshes the parts of the page that change. The page works without it.
"use strict";

(() => {
  const main = document.querySelector("main[data-refresh]");
  const message = document.getElementById("message");
  document.documentElement.classList.add("live");
  if (!main) return;

  // A message that is part of the page when it loads is not read out; one that changes is.
  const say = (text) => {
    message.setAttribute("role", "status");
    message.classList.remove("failed");
    message.textContent = text;
  };
  if (message.getAttribute("role") === "status" && message.textContent) {
    const text = message.textContent;
    message.textContent = "";
    setTimeout(() => say(text), 100);
  }

  // The address of a message would show it again after a reload.
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);

  // After a form the focus is back where it was.
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.matches("button, input")) target.focus();
  const wrong = main.querySelector("[aria-invalid=true]");
  if (wrong) wrong.focus();

  const isEdited = (field) => {
    if (field.type === "hidden") return false;
    if (field.tagName === "SELECT") {
      const initial = Array.from(field.options).findIndex((option) => option.defaultSelected);
      return field.selectedIndex !== Math.max(initial, 0);
    }
    return field.value !== field.defaultValue;
  };

  // Whether somebody is using this part, or reading its result.
  const isInUse = (section) => {
    if (section.hasAttribute("data-keep")) return true;
    const focused = document.activeElement;
    if (section.contains(focused) && focused.matches("input, select, textarea")) return true;
    return Array.from(section.querySelectorAll("input, select, textarea")).some(isEdited);
  };

  const swap = (old, section) => {
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const open = Array.from(old.querySelectorAll("details[open][id]"), (one) => one.id);
    const scrolled = Array.from(old.querySelectorAll(".scroll"), (one) => [one.scrollLeft, one.scrollTop]);
    old.replaceWith(section);
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    section.querySelectorAll(".scroll").forEach((one, index) => {
      [one.scrollLeft, one.scrollTop] = scrolled[index] ?? [0, 0];
    });
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  };

  const refresh = async () => {
    const response = await fetch("/", { credentials: "same-origin", redirect: "manual", cache: "no-store" });
    if (response.type === "opaqueredirect") {
      say("The login has expired: reload the page to log in again.");
      return;
    }
    if (!response.ok) throw new Error(`status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const before = document.getElementById("headline-title").textContent;
    for (const old of main.querySelectorAll(":scope > section")) {
      const section = page.getElementById(old.id);
      // An element without an id that has the focus would lose it.
      const focused = document.activeElement;
      const loses = old.contains(focused) && !focused.id;
      if (section && !loses && !isInUse(old) && section.outerHTML !== old.outerHTML) {
        swap(old, document.adoptNode(section));
      }
    }
    const footer = document.querySelector("footer");
    const newFooter = page.querySelector("footer");
    if (newFooter && !footer.contains(document.activeElement)) footer.replaceWith(document.adoptNode(newFooter));
    document.title = page.title;
    const after = document.getElementById("headline-title").textContent;
    if (before !== after) say(after);
  };

  let failures = 0;
  const period = 1000 * Number(main.dataset.refresh);
  const tick = async () => {
    try {
      if (!document.hidden) {
        await refresh();
        if (failures > 1) say("The server responds again.");
        failures = 0;
      }
    } catch {
      failures += 1;
      if (failures === 2) say("The server does not respond: what the page shows is old.");
    }
    setTimeout(tick, period);
  };
  setTimeout(tick, period);
})();
