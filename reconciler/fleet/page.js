"use strict";
// Everything that is shown is put in as text: no string of a result is ever read as HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 200;
  const [NAME, USER, STATE, CURSOR, BYOK, GROUPS, KEYS, WHY, PLACES, FILES] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const at = (id) => document.getElementById(id);
  const fields = { q: at("q"), state: at("state"), plan: at("plan"), key: at("key"),
    cursor: at("cursor"), byok: at("byok") };
  const list = at("list"), told = at("told"), rest = at("rest"), all = at("all");
  const only = at("only"), onlyText = at("only-text");
  let group = "", shown = PAGE, found = data.hosts;

  const element = (name, className, ...inside) => {
    const one = document.createElement(name);
    if (className) one.className = className;
    one.append(...inside);
    return one;
  };
  const machines = (count) => `${count.toLocaleString("en")} machine${count === 1 ? "" : "s"}`;

  // Searching: a machine's own words, and those of each group that it is in.
  const low = (...texts) => texts.join("\n").toLowerCase();
  const words = new Map(Object.entries(data.groups).map(([id, one]) => [id, low(...one.search)]));
  const own = data.hosts.map((host) => low(host[NAME], host[USER], data.states[host[STATE]][1],
    data.cursor[host[CURSOR]], data.byok[host[BYOK]], host[WHY], ...host[PLACES], ...host[KEYS]));
  const matches = (host, index, wanted) => wanted.every((word) => own[index].includes(word) ||
    host[GROUPS].some((id) => words.get(id).includes(word)));

  const filter = () => {
    const wanted = fields.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { state, plan, key, cursor, byok } = fields;
    found = data.hosts.filter((host, index) =>
      (!state.value || data.states[host[STATE]][0] === state.value) &&
      (!plan.value || host[GROUPS].includes(`p${plan.value}`)) &&
      (!key.value || host[KEYS].includes(key.value)) &&
      (!cursor.value || data.cursor[host[CURSOR]] === cursor.value) &&
      (!byok.value || data.byok[host[BYOK]] === byok.value) &&
      (!group || host[GROUPS].includes(group)) && matches(host, index, wanted));
    shown = PAGE;
    draw();
  };

  const draw = () => {
    list.replaceChildren(...found.slice(0, shown).map(row));
    const whole = found.length === data.hosts.length;
    told.textContent = whole ? machines(found.length)
      : `${found.length.toLocaleString("en")} of ${machines(data.hosts.length)}`;
    rest.hidden = found.length <= shown;
    all.textContent = `Show all ${found.length.toLocaleString("en")}`;
    only.hidden = !group;
    onlyText.textContent = group ? data.groups[group].title : "";
  };

  const row = (host) => {
    const [state, stateWords] = data.states[host[STATE]];
    const version = data.cursor[host[CURSOR]];
    const plan = host[GROUPS].find((id) => id.startsWith("p"));
    const old = host[GROUPS].find((id) => id.startsWith("o"));
    const why = [old ? data.groups[old].lines[0] : "",
      host[WHY] || (plan ? data.groups[plan].title : "")].filter(Boolean).join("; ");
    const summary = element("summary", "", element("span", "name", host[NAME]),
      element("span", `state ${state}`, stateWords), element("span", "why", why),
      element("span", "ver", `Cursor ${version}`));
    const details = element("details", "", summary);
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(more(host));
    });
    return element("li", "", details);
  };

  const more = (host) => {
    const box = element("div", "more");
    const about = [`byok ${data.byok[host[BYOK]]}`, `Cursor ${data.cursor[host[CURSOR]]}`];
    if (host[USER]) about.unshift(`user ${host[USER]}`);
    box.append(element("p", "soft", about.join(", ")));
    for (const id of host[GROUPS]) box.append(told_of(data.groups[id]));
    const lists = [["At", host[PLACES]],
      ["Keys", host[KEYS].map((key) => data.keys[key] || key)], ["Told by", host[FILES]]];
    for (const [title, texts] of lists) {
      if (!texts.length) continue;
      box.append(element("h4", "", title),
        element("ul", "", ...texts.map((text) => element("li", "", element("code", "", text)))));
    }
    return box;
  };

  const told_of = (one) => {
    const box = element("div", "", element("h4", "", one.kind));
    for (const text of one.lines || []) box.append(element("p", "", text));
    for (const change of one.changes || []) box.append(changed(change));
    return box;
  };

  const SIGNS = { "+": "plus", "~": "tilde", "-": "minus" };
  const changed = ([title, why, irreversible, rows]) => {
    const line = element("div", "", element("code", SIGNS[title[0]] || "", title), " ");
    if (irreversible) line.append(element("span", "irreversible", "irreversible"), " ");
    line.append(element("span", "soft", why));
    const table = element("table", "rows", element("tbody", "", ...rows.map(edited)));
    return element("div", "change", line, ...(rows.length ? [table] : []));
  };

  const edited = ([label, before, after, sign, source]) => {
    const cell = element("td");
    if (sign) cell.append(element("span", SIGNS[sign] || "", `${sign} ${after}`));
    else {
      if (before !== null) cell.append(element("span", "old", `${before} → `));
      cell.append(after);
    }
    if (source) cell.append(element("div", "old", source));
    return element("tr", "", element("td", "", label), cell);
  };

  // The address bar and the fields say the same, so that any view can be linked to.
  const read = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const [name, field] of Object.entries(fields)) {
      field.value = asked.get(name) || "";
      if (field.selectedIndex === -1) field.value = "";
    }
    group = Object.hasOwn(data.groups, asked.get("group") || "") ? asked.get("group") : "";
    filter();
    const place = location.hash.slice(1);
    if (place && !at(place)) at("hosts").scrollIntoView();
  };
  const write = () => {
    const asked = new URLSearchParams();
    for (const [name, field] of Object.entries(fields)) if (field.value) asked.set(name, field.value);
    if (group) asked.set("group", group);
    history.replaceState(null, "", `#${asked}`);
    filter();
  };
  for (const field of Object.values(fields)) field.addEventListener("input", write);
  at("clear").addEventListener("click", () => {
    for (const field of Object.values(fields)) field.value = "";
    group = "";
    write();
    fields.q.focus();
  });
  at("drop").addEventListener("click", () => { group = ""; write(); fields.q.focus(); });
  const showAll = () => { shown = found.length; draw(); };
  all.addEventListener("click", showAll);
  addEventListener("beforeprint", showAll);
  addEventListener("hashchange", read);
  at("browse").hidden = false;
  read();
})();
