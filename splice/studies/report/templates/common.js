"use strict";
const root = document.documentElement;
// Pages from a disk may have no storage; then nothing is remembered.
const remembered = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* not remembered */ } },
  drop(key) { try { localStorage.removeItem(key); } catch { /* not remembered */ } },
};
const each = (selector, act, within = document) => within.querySelectorAll(selector).forEach(act);
