// What report_browser.py checks in a page: each function returns the faults that it finds.
"use strict";
const box = (item) => { const r = item.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
const meet = ([a, b, c, d], [e, f, g, h]) => a < g - 1 && e < c - 1 && b < h - 1 && f < d - 1;

globalThis.checks = {
  overflow() {
    const wide = document.documentElement.clientWidth, found = [];
    if (document.documentElement.scrollWidth > wide) found.push(`the page is ${document.documentElement.scrollWidth} wide`);
    for (const plot of document.querySelectorAll('.plot')) {
      const svg = plot.querySelector('svg');
      if (!svg) { found.push(`${plot.dataset.figure} is not drawn`); continue; }
      const [left, , right] = box(svg), [from, , to] = box(plot);
      if (left < from - 1 || right > to + 1) found.push(`${plot.dataset.figure} is wider than its place`);
      for (const text of svg.querySelectorAll('text')) {
        const [a, , b] = box(text);
        if (text.textContent && (a < from - 2 || b > to + 2)) found.push(`${plot.dataset.figure}: "${text.textContent}" is cut`);
      }
    }
    return found;
  },

  overlap() {
    const found = [], blocks = [...document.querySelectorAll('main > section, main figure, main .wide, main pre, main ul.note')];
    blocks.forEach((one, place) => blocks.slice(place + 1).forEach((other) => {
      if (!one.contains(other) && !other.contains(one) && meet(box(one), box(other)))
        found.push(`${one.id || one.className} meets ${other.id || other.className}`);
    }));
    for (const plot of document.querySelectorAll('.plot')) {
      const texts = [...plot.querySelectorAll('text')].filter((text) => text.textContent && text.getAttribute('opacity') !== '0');
      texts.forEach((one, place) => texts.slice(place + 1).forEach((other) => {
        const [a, b] = [box(one), box(other)];
        if (meet([a[0] + 1, a[1] + 3, a[2] - 1, a[3] - 3], [b[0] + 1, b[1] + 3, b[2] - 1, b[3] - 3]))
          found.push(`${plot.dataset.figure}: "${one.textContent}" over "${other.textContent}"`);
      }));
    }
    return found;
  },

  contrast() {
    const light = (colour) => {
      const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map((v) => (v /= 255, v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4));
      return .2126 * r + .7152 * g + .0722 * b;
    };
    const under = (item) => {
      for (let at = item; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!/, 0\)$|transparent/.test(colour)) return colour;
      }
      return 'rgb(255, 255, 255)';
    };
    const found = new Set();
    for (const item of document.querySelectorAll('h1, h2, h3, p, li, td, th, figcaption, a, button, svg text')) {
      if (!item.textContent.trim() || item.closest('.skip')) continue;
      const style = getComputedStyle(item), ink = item.tagName === 'text' ? style.fill : style.color;
      if (!/^rgb/.test(ink)) { found.add(`${item.tagName} has the colour ${ink}`); continue; }
      const [a, b] = [light(ink), light(under(item))], ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
      if (ratio < 4.5) found.add(`${item.tagName} "${item.textContent.trim().slice(0, 20)}": contrast ${ratio.toFixed(1)}`);
    }
    return [...found].slice(0, 5);
  },

  access() {
    const found = [], levels = [...document.querySelectorAll('h1, h2, h3')].map((h) => +h.tagName[1]);
    if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
    levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) found.push('a level of headings is left out'); });
    for (const svg of document.querySelectorAll('.plot svg'))
      if (!svg.querySelector('[aria-label]') && !svg.getAttribute('aria-label')) found.push('a figure without a description');
    for (const box of document.querySelectorAll('.wide'))
      if (box.tabIndex !== 0 || !box.getAttribute('aria-label')) found.push('a table that keys cannot scroll');
    for (const link of document.querySelectorAll('a[href^="#"]'))
      if (!document.getElementById(link.hash.slice(1))) found.push(`${link.hash} leads nowhere`);
    for (const control of document.querySelectorAll('input, button'))
      if (!control.labels?.length && !control.textContent.trim()) found.push('a control without a name');
    if (!document.documentElement.lang || !document.querySelector('main')) found.push('no language or no main');
    return found;
  },

  sort() {
    const table = document.getElementById('all-trials'), found = [];
    if (!table) return ['there is no table of trials'];
    const heads = [...table.tHead.rows[0].cells], place = heads.findIndex((head) => head.textContent === 'val %');
    const numbers = () => [...table.tBodies[0].rows].map((row) => row.cells[place].textContent).filter((t) => t !== '-').map(Number);
    const before = table.tBodies[0].rows.length;
    for (const [told, sign] of [['ascending', 1], ['descending', -1]]) {
      heads[place].querySelector('button').click();
      if (heads[place].getAttribute('aria-sort') !== told) found.push(`aria-sort is not ${told}`);
      if (numbers().some((n, at, all) => at && sign * (n - all[at - 1]) < 0)) found.push(`not ${told}`);
    }
    if (table.tBodies[0].rows.length !== before) found.push('sorting lost rows');
    return found;
  },

  filter() {
    const table = document.getElementById('all-trials'), input = document.getElementById('filter'), found = [];
    const all = [...table.tBodies[0].rows], shown = () => all.filter((row) => row.offsetParent !== null);
    const type = (text) => { input.value = text; input.dispatchEvent(new Event('input')); };
    type('magnitude complete');
    const left = shown(), wanted = all.filter((row) => /magnitude/.test(row.textContent) && /complete/.test(row.textContent));
    if (left.length !== wanted.length || left.some((row) => !wanted.includes(row))) found.push('wrong rows are left');
    if (!document.getElementById('count').textContent.startsWith(`${wanted.length} of ${all.length}`)) found.push('wrong count');
    type('');
    if (shown().length !== all.length) found.push('rows do not come back');
    return found;
  },

  toggle() {
    const button = document.getElementById('theme'), found = [], seen = [];
    for (let turn = 0; turn < 3; turn++) {
      button.click();
      seen.push(`${document.documentElement.dataset.theme} ${getComputedStyle(document.body).backgroundColor}`);
    }
    const wanted = ['light rgb(255, 255, 255)', 'dark rgb(22, 24, 28)', 'undefined rgb(255, 255, 255)'];
    if (seen.join() !== wanted.join()) found.push(`the button gives ${seen}`);
    return found;
  },

  paper() {
    const found = [];
    if (getComputedStyle(document.body).backgroundColor !== 'rgb(255, 255, 255)') found.push('paper is not white');
    for (const table of document.querySelectorAll('table'))
      if (table.getBoundingClientRect().right > document.documentElement.clientWidth + 1) found.push('a table is cut');
    return found;
  },

  async drawn_for_paper() {
    const found = [], sheet = 182 / 25.4 * 96;
    const after = (name) => { window.dispatchEvent(new Event(name)); return new Promise((done) => setTimeout(done, 300)); };
    await after('beforeprint');
    for (const plot of document.querySelectorAll('.plot'))
      if (+plot.querySelector('svg').getAttribute('width') > sheet + 1) found.push(`${plot.dataset.figure} is drawn wider than a sheet`);
    await after('afterprint');
    return found;
  },

};
