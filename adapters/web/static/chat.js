// The page is made by the service; this keeps it up to date and carries what a person does.
"use strict";
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const channel = document.body.dataset.channel;
  const main = $("#content");
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const parsed = (html) => new DOMParser().parseFromString(html, "text/html");
  const newId = () => crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`;
  const announce = (words) => { $("#live").textContent = words; };

  // --- Times, in the reader's own zone ------------------------------------------------------

  const two = (number) => String(number).padStart(2, "0");
  const minute = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;
  const part = (date, what, look) => date.toLocaleDateString("en-GB", { [what]: look });
  const longDay = (date) => `${part(date, "weekday", "long")} ${date.getDate()} ${part(date, "month", "long")}`;
  function clock(date) { // 12:30 today, Thu 10:48 within a week, else Wed 11 March
    const midnight = (of) => new Date(of.getFullYear(), of.getMonth(), of.getDate());
    const days = Math.abs(Math.round((midnight(date) - midnight(new Date())) / 86_400_000));
    if (!days) return minute(date);
    const weekday = part(date, "weekday", "short");
    return days < 7 ? `${weekday} ${minute(date)}` : `${weekday} ${date.getDate()} ${part(date, "month", "long")}`;
  }
  function localize(root) {
    for (const time of all("time", root)) {
      const date = new Date(time.dateTime);
      time.textContent = "minute" in time.dataset ? minute(date) : clock(date);
      if (time.title) time.title = `${longDay(date)}, ${minute(date)}:${two(date.getSeconds())}`;
      const item = time.closest(".when") && time.closest(".message");
      if (item) item.dataset.day = longDay(date);
    }
    return root;
  }

  class Refused extends Error {
    constructor(status, body) {
      super(body.message || body.text || `The service answered ${status}.`);
      this.hint = body.hint || "";
      this.body = body;
      this.status = status;
    }
  }

  async function ask(path, options = {}) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      throw new Refused(0, { message: "The service cannot be reached.",
        hint: "Nothing is lost: send it again once it is back." });
    }
    if (answer.status === 401) {
      location.reload();
    }
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
    return answer;
  }

  const post = (path, body) => ask(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });

  // --- Messages -----------------------------------------------------------------------------

  const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  const toEnd = (box) => { box.scrollTop = box.scrollHeight; };
  const listOf = (id) => $(id);
  const boxOf = (list) => list.closest(".scroll");
  const news = (box) => $(".news", box.parentElement);

  // What a person has begun to fill in, and where they are, outlives an edit of the card.
  function keep(old, fresh) {
    for (const input of all("input, textarea, select", old)) {
      const twin = all("input, textarea, select", fresh)
        .find((each) => each.name === input.name && (each.type !== "checkbox" || each.value === input.value));
      if (!twin) continue;
      if (input.type === "checkbox") twin.checked = input.checked;
      else twin.value = input.value;
    }
    const [told, tells] = [$(".outcome", old), $(".outcome", fresh)];
    if (told && tells && old.dataset.revision === fresh.dataset.revision) {
      tells.textContent = told.textContent;
      tells.className = told.className;
    }
    all("details[open]", old).forEach((each, index) => { all("details", fresh)[index]?.setAttribute("open", ""); });
    const at = document.activeElement;
    if (!old.contains(at)) return () => {};
    const press = at.dataset.press;
    const name = at.name;
    const href = at.getAttribute("href");
    const [begin, end] = at.matches("textarea") ? [at.selectionStart, at.selectionEnd] : [];
    return () => {
      const again = all("[data-press], input, textarea, select, a, summary", fresh).find((each) =>
        press ? each.dataset.press === press : href ? each.getAttribute("href") === href
          : at.matches("summary") ? each.matches("summary") : name && each.name === name && each.value === at.value);
      (again || fresh).focus({ preventScroll: true });
      if (again && begin !== undefined) again.setSelectionRange(begin, end);
    };
  }

  function divide(list) {
    let last = "";
    for (const item of [...list.children]) {
      if (item.classList.contains("day")) { item.remove(); continue; }
      const day = item.dataset.day;
      if (day && day !== last && (list.id === "log" || last)) {
        item.before(make("li", { class: "day" }, make("span", {}, day)));
      }
      last = day || last;
    }
  }

  function place(list, item, prefix) {
    item.id = prefix + item.dataset.id;
    const old = all(".message", list).find((each) => each.dataset.id === item.dataset.id);
    const box = boxOf(list);
    const stay = atEnd(box);
    if (old) {
      const refocus = keep(old, item);
      old.replaceWith(item);
      refocus();
    } else {
      const later = all(".message", list).find((each) => Number(each.dataset.id) > Number(item.dataset.id));
      list.insertBefore(item, later || null);
      divide(list);
    }
    // Whoever fills in a card here is not moved away from it.
    const filling = box.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
    if (stay && !(filling && !old)) toEnd(box);
    else if (!old) news(box).hidden = false;
  }

  const fetching = new Map(); // id → whether it changed again meanwhile
  async function refresh(id) {
    if (fetching.has(id)) { fetching.set(id, true); return; }
    fetching.set(id, false);
    try {
      do {
        fetching.set(id, false);
        let html;
        try {
          html = await (await ask(`/ui/messages/${id}`)).text();
        } catch (error) {
          if (error.status === 404) all(`.message[data-id="${id}"]`).forEach((each) => each.remove());
          return;
        }
        show(localize(parsed(html)).body.querySelector(".message"));
        await new Promise((done) => setTimeout(done, 150));
      } while (fetching.get(id));
    } finally {
      fetching.delete(id);
    }
  }

  function show(item) {
    if (!item) return;
    const { id, thread } = item.dataset;
    const log = $("#log");
    const open = $("#thread");
    if (log && (!thread) && (main.dataset.live || $(`#m${id}`))) {
      $("#welcome")?.remove();
      place(log, item.cloneNode(true), "m");
    }
    if (open && (open.dataset.thread === thread || open.dataset.thread === id)) {
      const copy = item.cloneNode(true);
      $(".replies", copy)?.remove();
      place($("#thread-log"), copy, "t");
    }
    if (thread && $(`#m${thread}`)) refresh(Number(thread));
  }

  // --- The stream: one for all tabs of a channel, for a browser opens only few at once --------

  let last = Number(main?.dataset.changed || 0);
  const lost = { since: null };
  const tabs = "BroadcastChannel" in window ? new BroadcastChannel(`autocoder-${channel}`) : null;

  function connection(up) {
    const sign = $("#connection");
    if (up) lost.since = null;
    else lost.since ||= new Date();
    sign.classList.toggle("lost", !up);
    const words = up ? "Live" : `Reconnecting since ${minute(lost.since)}…`;
    if (sign.textContent !== words) sign.textContent = words;
  }

  function take(news) {
    if (news.up !== undefined) connection(news.up);
    if (!news.id || news.number <= last) return;
    last = news.number;
    refresh(news.id);
    rail();
    if (news.fresh && news.author !== "") announce(`${news.author}: ${news.text}`);
  }

  function told(news) {
    take(news);
    tabs?.postMessage(news);
  }

  function listen() {
    const source = new EventSource(`/api/chat/${channel}/stream?since=${last}`);
    const heard = (event) => {
      const message = JSON.parse(event.data);
      told({ up: true, number: Number(event.lastEventId), id: message.id, fresh: event.type === "message",
        author: message.author_name, text: message.text.slice(0, 300) });
    };
    source.addEventListener("message", heard);
    source.addEventListener("edit", heard);
    source.onopen = () => told({ up: true });
    source.onerror = () => {
      told({ up: false });
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    };
    window.addEventListener("pagehide", () => source.close());
  }

  if (main && $("#log")) {
    tabs?.addEventListener("message", (event) => {
      if (event.data.hello) { if (lost.leads) tabs.postMessage({ up: !lost.since }); } else take(event.data);
    });
    const lead = () => { lost.leads = true; listen(); return new Promise(() => {}); };
    if (navigator.locks && tabs) {
      navigator.locks.request(`autocoder-${channel}`, lead);
      tabs.postMessage({ hello: true });
    } else lead();
  }

  let railDue = 0;
  let drawn = "";
  function rail() {
    if (railDue) return;
    railDue = setTimeout(async () => {
      railDue = 0;
      const here = document.body.dataset.here;
      let html;
      try {
        html = await (await ask(`/ui/rail?channel=${channel}&here=${encodeURIComponent(here)}`)).text();
      } catch { return; }
      const fresh = parsed(html).getElementById("rail-inner");
      const old = $("#rail-inner");
      if (html !== drawn) {
        drawn = html;
        const at = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
        old.replaceWith(fresh);
        if (at) all("a", fresh).find((each) => each.getAttribute("href") === at)?.focus();
        count();
      }
    }, 1000);
  }

  setInterval(() => { if (!document.hidden) rail(); }, 20000); // other channels have no stream here

  let bare = document.title;
  const named = (place) => { bare = [place, `# ${channel}`, "autocoder"].filter(Boolean).join(" · "); count(); };
  function count() {
    for (const link of all("#rail-inner [data-last]")) {
      const { name, last: newest } = link.dataset;
      const seen = Number(localStorage.getItem(`seen:${name}`) || 0);
      if (link.hasAttribute("aria-current")) localStorage.setItem(`seen:${name}`, newest);
      else if (Number(newest) > seen) link.append(make("span", { class: "aside" }, "new"));
    }
    const number = Number($("#rail-inner")?.dataset.waiting || 0);
    document.title = number ? `(${number}) ${bare}` : bare;
    const small = $("#small-waiting");
    small.hidden = !number;
    $("[data-count]", small).textContent = number;
  }

  // --- Threads ------------------------------------------------------------------------------

  let before = null; // where the focus was
  async function openThread(url, push) {
    const page = parsed(await (await ask(url, { headers: { Accept: "text/html" } })).text());
    const place = $("#thread-place");
    place.replaceChildren(...page.getElementById("thread-place").children);
    if (push) history.pushState({}, "", url);
    cover();
    ready(place);
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && place.contains(target)) target.scrollIntoView();
    named($("#thread-title").firstChild.textContent.trim());
    if (target && place.contains(target)) target.focus({ preventScroll: true });
    else $("#thread-title").focus({ preventScroll: true });
  }

  // What lies under a thread or the menu is out of reach of Tab, and of a screen reader.
  function cover() {
    const menu = Boolean($("#rail.open"));
    const thread = Boolean($("#thread"));
    $(".middle").inert = menu || (thread && matchMedia("(max-width: 1100px)").matches);
    $("#rail").inert = !menu && thread && matchMedia("(max-width: 719px)").matches;
    $("#thread-place").inert = menu;
  }
  window.addEventListener("resize", cover);

  function closeThread(push) {
    if (!$("#thread")) return;
    $("#thread-place").replaceChildren();
    named("");
    cover();
    if (push) history.pushState({}, "", `/c/${channel}`);
    const at = before?.isConnected ? before : $("#content");
    at?.focus({ preventScroll: true });
  }

  window.addEventListener("popstate", () => {
    const thread = new URL(location).searchParams.get("thread");
    if (thread) openThread(location.href, false).catch(() => location.reload());
    else closeThread(false);
  });

  // --- Buttons and their forms --------------------------------------------------------------

  const dialog = $("#form");
  function fields(inputs) {
    return inputs.map((input) => {
      if (input.kind === "multi_select") {
        return make("fieldset", {}, make("legend", {}, input.label), ...input.options.map((option) =>
          make("label", { class: "choice" },
            make("input", { type: "checkbox", name: input.name, value: option.value }),
            make("span", {}, option.label))));
      }
      let field;
      if (input.kind === "select") {
        field = make("select", { name: input.name }, make("option", { value: "" }, ""),
          ...input.options.map((option) => make("option", { value: option.value }, option.label)));
      } else {
        const small = input.max_length <= 100;
        field = make(small ? "input" : "textarea", { name: input.name, maxlength: input.max_length });
        if (small) field.type = "text";
      }
      field.value = input.value;
      if (input.required) field.required = true;
      return make("label", { class: "field" }, make("span", {}, input.label), field);
    });
  }

  function fillIn(form, label) {
    $("#form-title").textContent = form.title;
    $("#form-send").textContent = label;
    $("#form-fields").replaceChildren(...fields(form.inputs));
    dialog.returnValue = "";
    dialog.showModal();
    ($("#form-fields :is(input, textarea, select)") || $("#form-send")).focus();
    return new Promise((done) => dialog.addEventListener("close", () => {
      done(dialog.returnValue === "send" ? values($("form", dialog)) : null);
    }, { once: true }));
  }
  dialog?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); $("#form-send").click(); }
  });
  $("#form-cancel")?.addEventListener("click", () => dialog.close(""));

  function values(form) {
    const found = {};
    for (const [name, value] of new FormData(form)) {
      if (typeof value === "string" && value.trim()) (found[name] ||= []).push(value);
    }
    return found;
  }

  async function press(button) {
    if (button.getAttribute("aria-disabled")) return;
    const answers = button.closest("[data-answers]");
    const item = button.closest(".message");
    const label = button.textContent;
    let given = null;
    if (button.dataset.form) given = await fillIn(JSON.parse(button.dataset.form), label);
    else if (/^answer:question:\d+$/.test(button.dataset.press)) given = values(answers);
    else given = {};
    if (!given) { button.focus(); return; }
    // An edit of the card may come meanwhile: the same button is then another element.
    const now = () => all(`.message[data-id="${item.dataset.id}"] [data-press]`);
    const outcome = () => all(`.message[data-id="${item.dataset.id}"] .outcome`);
    // Not `disabled`: that would take the focus away from whoever pressed it.
    const busy = (is) => now().forEach((each) => { if (is) each.setAttribute("aria-disabled", "true"); else each.removeAttribute("aria-disabled"); });
    const tell = (words, bad) => {
      announce(words);
      outcome().forEach((each) => {
        each.textContent = words;
        each.classList.toggle("bad", bad);
      });
    };
    button.dataset.client ||= newId();
    busy(true);
    button.textContent = "Sent";
    let again = null;
    try {
      const answer = await (await post("/api/chat/presses", { message_id: Number(item.dataset.id),
        action_id: button.dataset.press, values: given, client_id: button.dataset.client })).json();
      tell(answer.text, false);
    } catch (error) {
      again = error.body.form || null;
      if (!again) tell(`${error.message} ${error.hint}`, true);
      if (error.status) delete button.dataset.client;
    }
    button.textContent = label;
    busy(false);
    refresh(Number(item.dataset.id));
    if (again) {
      const filled = await fillIn(again, label);
      if (filled) {
        const copy = now().find((each) => each.dataset.press === button.dataset.press) || button;
        try {
          const answer = await (await post("/api/chat/presses", { message_id: Number(item.dataset.id),
            action_id: copy.dataset.press, values: filled, client_id: newId() })).json();
          tell(answer.text, false);
        } catch (error) { tell(`${error.message} ${error.hint}`, true); }
      }
    }
  }

  // --- Composers ----------------------------------------------------------------------------

  let known = null;
  async function vocabulary() {
    known ||= ask("/ui/commands").then((answer) => answer.json()).catch(() => { known = null; return []; });
    return known;
  }

  async function matches(text) {
    if (!/^\/\S*( [^\n]*)?$/.test(text)) return [];
    const [word, ...rest] = text.slice(1).split(" ");
    const typed = (rest.length ? rest.join(" ") : "autocoder".startsWith(word) ? "" : word).toLowerCase();
    if (rest.length && word !== "autocoder") return [];
    return (await vocabulary()).filter((each) => each.name.startsWith(typed) && each.name !== typed.trimEnd());
  }

  // A list that opens at a field: the arrows move in it, Enter or Tab takes, Esc closes.
  function chooser(field, list, take) {
    let items = [];
    let at = -1;
    const close = () => { items = []; at = -1; list.hidden = true; field.removeAttribute("aria-activedescendant"); };
    const move = (to) => {
      at = (to + items.length) % items.length;
      items.forEach((each, index) => each.setAttribute("aria-selected", String(index === at)));
      field.setAttribute("aria-activedescendant", items[at].id);
      items[at].scrollIntoView({ block: "nearest" });
    };
    return {
      close,
      fill(found) {
        if (!found.length) { close(); list.replaceChildren(); return; }
        items = found.map(({ head, tail, value }, index) => {
          const item = make("li", { role: "option", id: `${list.id}-${index}`, "aria-selected": "false" },
            make("code", {}, head), make("span", {}, tail));
          item.addEventListener("mousedown", (event) => { event.preventDefault(); take(value); });
          return item;
        });
        list.replaceChildren(...items);
        list.hidden = false;
        move(0);
        found.chosen = found[0];
        this.found = found;
      },
      key(event) {
        if (!items.length) return false;
        if (event.key === "ArrowDown") move(at + 1);
        else if (event.key === "ArrowUp") move(at - 1);
        else if (event.key === "Escape") close();
        else if (event.key === "Enter" || event.key === "Tab") { const { value } = this.found[at]; close(); take(value); }
        else return false;
        event.preventDefault();
        event.stopPropagation();
        return true;
      },
    };
  }

  function composer(form) {
    const field = $("textarea", form);
    const list = $(".completion", form);
    const problem = $(".problem", form);
    const chips = $(".chips", form);
    const draft = `draft:${form.dataset.channel}:${form.dataset.in || ""}`;
    let files = [];
    let sent = null; // what was sent last, under which id: the same again is the same message
    const store = (text) => { try { sessionStorage.setItem(draft, text); } catch { /* full or forbidden */ } };
    try { field.value ||= sessionStorage.getItem(draft) || ""; } catch { /* forbidden */ }
    const fit = () => {
      if (CSS.supports("field-sizing", "content")) return;
      field.rows = Math.min(8, field.value.split("\n").length);
    };
    const complain = (error) => {
      problem.replaceChildren(...(error ? [make("strong", {}, error.message), ` ${error.hint}`] : []));
      problem.hidden = !error;
    };
    const choose = chooser(field, list, (value) => {
      field.value = value;
      store(value);
      field.focus();
      suggest();
    });
    async function suggest() {
      const text = field.value;
      const found = await matches(text);
      if (field.value !== text) return;
      choose.fill(found.slice(0, 60).map((each) => ({ head: each.usage, tail: each.about,
        value: `/autocoder ${each.name}${each.usage === each.name ? "" : " "}` })));
      if (found.length) announce(`${found.length} commands, the first is ${found[0].usage}`);
    }
    const drawFiles = () => {
      chips.hidden = !files.length;
      chips.replaceChildren(...files.map((file) => {
        const away = make("button", { type: "button", "aria-label": `Remove ${file.name}` }, "×");
        away.addEventListener("click", () => { files = files.filter((each) => each !== file); drawFiles(); field.focus(); });
        return make("li", {}, file.name, away);
      }));
    };
    async function add(picked) {
      complain(null);
      for (const file of picked) {
        announce(`Uploading ${file.name}`);
        const body = new FormData();
        body.append("file", file);
        try {
          files.push(await (await ask(`/api/chat/${form.dataset.channel}/files`, { method: "POST", body })).json());
        } catch (error) { complain(error); return; }
      }
      drawFiles();
      announce(`${files.length} files are added to the message`);
    }
    // What is typed while a message is on its way is the next one, and goes after it.
    const waiting = [];
    let busy = false;
    function send() {
      const text = field.value;
      if (!text.trim() && !files.length) return;
      waiting.push({ text, files });
      field.value = "";
      files = [];
      complain(null);
      choose.close();
      drawFiles();
      fit();
      if (!busy) deliver();
    }
    async function deliver() {
      busy = true;
      while (waiting.length) {
        const next = waiting[0];
        const what = JSON.stringify([next.text, next.files]);
        if (sent?.what !== what) sent = { what, id: newId() };
        try {
          const message = await (await post(`/api/chat/${form.dataset.channel}/messages`, {
            text: next.text.trim() ? next.text : next.files.map((each) => each.name).join(", "), client_id: sent.id,
            files: next.files.map((each) => each.id),
            ...(form.dataset.in ? { thread: Number(form.dataset.in) } : {}) })).json();
          waiting.shift();
          sent = null;
          store([...waiting.map((each) => each.text), field.value].filter(Boolean).join("\n"));
          if (form.closest("main") && !main.dataset.live) { location.href = `/c/${channel}`; return; }
          await refresh(message.id);
          toEnd(form.parentElement.querySelector(".scroll"));
        } catch (error) { // all of it comes back, to be sent again
          field.value = [...waiting.map((each) => each.text), field.value].filter(Boolean).join("\n");
          files = [...waiting.flatMap((each) => each.files), ...files];
          waiting.length = 0;
          store(field.value);
          drawFiles();
          fit();
          complain(error);
        }
      }
      busy = false;
      if (!document.activeElement || document.activeElement === document.body) field.focus();
    }
    field.addEventListener("input", () => { store(field.value); fit(); suggest(); });
    field.addEventListener("blur", () => choose.close());
    field.addEventListener("keydown", (event) => {
      if (choose.key(event)) return;
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
    $("input[type=file]", form).addEventListener("change", (event) => { add([...event.target.files]); event.target.value = ""; field.focus(); });
    const area = form.closest("main, .thread");
    area.addEventListener("dragover", (event) => { if (event.dataTransfer.types.includes("Files")) { event.preventDefault(); form.classList.add("dropping"); } });
    area.addEventListener("dragleave", () => form.classList.remove("dropping"));
    area.addEventListener("drop", (event) => {
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      form.classList.remove("dropping");
      add([...event.dataTransfer.files]);
    });
    field.addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); add([...event.clipboardData.files]); } });
    fit();
  }

  // --- The palette --------------------------------------------------------------------------

  const palette = $("#palette");
  if (palette) {
    const input = $("#palette-input");
    const go = (value) => {
      palette.close();
      if (value.fill) fill(value.fill);
      else location.href = value.url;
    };
    const choose = chooser(input, $("#palette-list"), go);
    const look = async () => {
      const text = input.value.trim().toLowerCase();
      const places = all("#rail-inner a").map((link) => ({ head: $(".grow", link).textContent, tail: "open", value: { url: link.href } }));
      const commands = (await vocabulary()).map((each) => ({ head: each.usage, tail: each.about,
        value: { fill: `/autocoder ${each.name}${each.usage === each.name ? "" : " "}` } }));
      const plain = text.replace(/^\/(autocoder )?/, "");
      const found = [...places, ...commands].filter((each) => each.head.toLowerCase().includes(plain));
      const search = { head: `Search “${input.value.trim()}”`, tail: "in all messages", value: { url: `/search?q=${encodeURIComponent(input.value.trim())}` } };
      choose.fill(text && !text.startsWith("/") ? [...found.slice(0, 20), search] : found.slice(0, 60));
    };
    input.addEventListener("input", look);
    input.addEventListener("keydown", (event) => { if (event.key !== "Escape") choose.key(event); });
    const open = () => { input.value = ""; palette.showModal(); look(); input.focus(); };
    $("#find").addEventListener("click", (event) => { event.preventDefault(); open(); });
    $("#find").addEventListener("keydown", (event) => { if (event.key === " ") { event.preventDefault(); open(); } });
    document.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); open(); }
    });
  }

  function fill(text, from) {
    const field = $("textarea[id^=say-]", from?.closest(".thread") || document) || $("#say-main");
    if (!field) { try { sessionStorage.setItem(`draft:${channel}:`, text); } catch { /* forbidden */ } location.href = `/c/${channel}`; return; }
    field.value = text;
    field.focus();
    field.dispatchEvent(new Event("input"));
  }

  // --- The whole page -----------------------------------------------------------------------

  function ready(root) {
    localize(root);
    all(".log", root).forEach(divide);
    all("[data-composer]", root).forEach(composer);
    all(".scroll:has(.log)", root).forEach((box) => {
      toEnd(box);
      // A picture that comes later moves what is below it.
      let stay = true;
      box.addEventListener("load", () => { if (stay) toEnd(box); }, true);
      box.addEventListener("scroll", () => { stay = atEnd(box); if (atEnd(box) && news(box)) news(box).hidden = true; });
    });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-press]");
    if (button) { press(button); return; }
    const filler = event.target.closest("[data-fill]");
    if (filler) { fill(filler.dataset.fill, filler); return; }
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const way = event.target.closest("[data-card]");
    const there = way && all(".message").filter((each) => each.dataset.key === way.dataset.card && each.checkVisibility());
    if (there?.length) {
      event.preventDefault();
      const at = there.find((each) => each.closest(".thread")) || there[0];
      at.scrollIntoView({ block: "center" });
      at.focus({ preventScroll: true });
      return;
    }
    const link = event.target.closest("[data-thread-link], #rail a");
    const url = link && new URL(link.href);
    if (url && $("#log") && url.pathname === location.pathname && url.searchParams.get("thread")) {
      event.preventDefault();
      before = link;
      menu(false);
      openThread(url.href, true).catch(() => { location.href = url.href; });
      return;
    }
    const newest = event.target.closest("[data-newest]");
    if (newest) {
      const area = newest.closest("main, .thread");
      toEnd($(".scroll", area));
      newest.parentElement.hidden = true;
      $(".message:last-child", area)?.focus({ preventScroll: true });
      return;
    }
    if (event.target.closest("[data-close]")) { event.preventDefault(); closeThread(true); }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || $("dialog[open]")) return;
    if ($("#rail.open")) menu(false);
    else closeThread(true);
  });

  document.addEventListener("submit", (event) => { if (event.target.matches("[data-answers]")) event.preventDefault(); });

  $("#earlier")?.addEventListener("click", async function earlier(event) {
    event.preventDefault();
    const page = localize(parsed(await (await ask(this.href, { headers: { Accept: "text/html" } })).text()));
    const list = $("#log");
    const box = boxOf(list);
    const height = box.scrollHeight;
    const first = $(".message", list);
    list.prepend(...all("#log > .message", page));
    divide(list);
    box.scrollTop += box.scrollHeight - height;
    const more = page.getElementById("earlier");
    if (more) this.href = more.href;
    else this.parentElement.remove();
    first.focus({ preventScroll: true });
  });

  function menu(open) {
    const inside = $("#rail").contains(document.activeElement);
    $("#rail").classList.toggle("open", open);
    $("#open-menu").setAttribute("aria-expanded", String(open));
    cover();
    if (open) $("#close-menu").focus();
    else if (inside) $("#open-menu").focus();
  }
  $("#open-menu").addEventListener("click", () => menu(true));
  $("#close-menu").addEventListener("click", () => menu(false));

  $("#theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
    // Pictures are drawn for the theme that the cookie names.
    all("figure img").forEach((each) => { each.src = `${each.getAttribute("src").split("?")[0]}?theme=${root.dataset.theme}`; });
    announce(`${dark ? "Light" : "Dark"} theme`);
  });

  cover();
  ready(document);
  count();
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (target) {
    target.scrollIntoView({ block: "center" });
    target.focus({ preventScroll: true });
  }
})();
