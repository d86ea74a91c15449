// The world of one script: evaluated once in a fresh isolate, before the script's source is known.
//
// Invariant: after this file, nothing that a script can reach tells time, entropy or the machine, and nothing that a script can
// change takes part in judging its result. Hence: every built-in that is used later is captured here, no method is looked up on a
// prototype, no array is iterated or pushed to, every own record has a null prototype, and all is strict (a strict frame gives
// away neither its function nor its arguments through stack traces).
//
// The completion value is the one function that the host process calls; it is reachable from nowhere else.
(() => {
  'use strict';
  const { apply, construct, defineProperty, deleteProperty, getPrototypeOf } = Reflect;
  const uncurry = (method) => Function.prototype.call.bind(method);
  const indirectEval = eval;
  const jsonParse = JSON.parse;
  const jsonStringify = JSON.stringify;
  const objectKeys = Object.keys;
  const objectPrototype = Object.prototype;
  const isArray = Array.isArray;
  const toText = String;
  const isWellFormed = uncurry(String.prototype.isWellFormed);
  const toWellFormed = uncurry(String.prototype.toWellFormed);
  const slice = uncurry(String.prototype.slice);
  const charCodeAt = uncurry(String.prototype.charCodeAt);
  const numberValue = uncurry(Number.prototype.valueOf);
  const stringValue = uncurry(String.prototype.valueOf);
  const booleanValue = uncurry(Boolean.prototype.valueOf);
  const imul = Math.imul;

  let now = 0;
  let params;
  let logLimit = 0;
  let outputLimit = 0;
  const MAX_DEPTH = 100;
  const MAX_MESSAGE_UNITS = 1024;
  const MAX_PATH_UNITS = 200;

  const hide = (target, name, value) =>
    defineProperty(target, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });

  // Shared memory and timers race; weak references show the garbage collector; WebAssembly's NaN bits are the processor's choice.
  for (const name of ['SharedArrayBuffer', 'Atomics', 'WeakRef', 'FinalizationRegistry', 'Temporal', 'WebAssembly', 'performance', 'crypto']) {
    deleteProperty(globalThis, name);
  }

  // Date: one constant instant. Not a subclass: the prototype of a subclass is the real Date, with the real clock.
  {
    const RealDate = Date;
    const dateText = uncurry(RealDate.prototype.toString);
    const FrozenDate = function Date(year, month, date, hours, minutes, seconds, milliseconds) {
      if (new.target === undefined) return dateText(new RealDate(now));
      return construct(RealDate, arguments.length === 0 ? [now] : arguments, new.target);
    };
    defineProperty(FrozenDate, 'prototype', { __proto__: null, value: RealDate.prototype, writable: false, enumerable: false, configurable: false });
    hide(RealDate.prototype, 'constructor', FrozenDate);
    hide(FrozenDate, 'now', { now() { return now; } }.now);
    hide(FrozenDate, 'parse', RealDate.parse);
    hide(FrozenDate, 'UTC', RealDate.UTC);
    hide(globalThis, 'Date', FrozenDate);
    deleteProperty(RealDate.prototype, 'toTemporalInstant');

    // Intl's formatters read the real clock when they are given no date.
    const prototype = Intl.DateTimeFormat.prototype;
    const realFormat = uncurry(Object.getOwnPropertyDescriptor(prototype, 'format').get);
    const realFormatToParts = uncurry(prototype.formatToParts);
    const bound = new WeakMap();
    const boundGet = uncurry(WeakMap.prototype.get).bind(undefined, bound);
    const boundSet = uncurry(WeakMap.prototype.set).bind(undefined, bound);
    const getter = {
      get format() {
        const real = realFormat(this);
        let frozen = boundGet(real);
        if (frozen === undefined) {
          frozen = (date) => real(date === undefined ? now : date);
          boundSet(real, frozen);
        }
        return frozen;
      },
      formatToParts(date) { return realFormatToParts(this, date === undefined ? now : date); },
    };
    defineProperty(prototype, 'format', {
      __proto__: null, get: Object.getOwnPropertyDescriptor(getter, 'format').get, set: undefined, enumerable: false, configurable: true,
    });
    hide(prototype, 'formatToParts', getter.formatToParts);
  }

  // Math.random: xoshiro128** (Blackman, Vigna), 53 bits from two draws.
  let s0 = 1, s1 = 2, s2 = 3, s3 = 4;
  const draw = () => {
    const product = imul(s1, 5);
    const result = imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = s1 << 9;
    s2 ^= s0; s3 ^= s1; s1 ^= s2; s0 ^= s3; s2 ^= t;
    s3 = (s3 << 11) | (s3 >>> 21);
    return result;
  };
  hide(Math, 'random', { random() { return ((draw() >>> 5) * 67108864 + (draw() >>> 6)) / 9007199254740992; } }.random);

  // The console keeps lines, each as a JSON string, up to a limit.
  let logText = '';
  let logUnits = 0;
  let logsCut = false;
  const record = (line) => {
    if (logsCut) return;
    const room = logLimit - logUnits;
    if (line.length >= room) {
      logsCut = true;
      if (room > 1) logText += '\n' + jsonStringify(toWellFormed(slice(line, 0, room - 1)));
      logText += '\n' + jsonStringify('(the log ends here: its limit is ' + logLimit + ' bytes)');
      return;
    }
    logUnits += line.length + 1;
    logText += '\n' + jsonStringify(toWellFormed(line));
  };
  const show = (value) => {
    if (typeof value === 'string') return value;
    if (typeof value === 'function') return '[function]';
    if (typeof value !== 'object' || value === null) return toText(value);
    try {
      const text = jsonStringify(value);
      if (typeof value.stack === 'string') return value.stack;
      return typeof text === 'string' ? text : '[object]';
    } catch {
      return '[object]';
    }
  };
  const write = (level, values) => {
    let line = level === 'log' ? '' : level + ':';
    for (let index = 0; index < values.length && line.length <= logLimit; index += 1) {
      line += (line === '' ? '' : ' ') + show(values[index]);
    }
    record(line);
  };
  {
    const log = {
      log() { write('log', arguments); }, info() { write('info', arguments); }, warn() { write('warn', arguments); },
      error() { write('error', arguments); }, debug() { write('debug', arguments); }, trace() { write('trace', arguments); },
      dir() { write('log', arguments); }, table() { write('log', arguments); },
      assert(holds) { if (!holds) write('assert', arguments); },
      group() { write('log', arguments); }, groupEnd() {}, count() {}, time() {}, timeEnd() {}, timeLog() {}, clear() {},
    };
    hide(globalThis, 'console', log);
  }

  // The outcome, as one line: 'V' and JSON text, or 'F', the kind's word, a space and the message as a JSON string.
  let outcome;
  const fail = (kind, message) => {
    outcome = 'F' + kind + ' ' + jsonStringify(toWellFormed(slice(message, 0, MAX_MESSAGE_UNITS)));
  };
  const describe = (thrown) => {
    try {
      if ((typeof thrown !== 'object' || thrown === null) && typeof thrown !== 'function') return toText(thrown);
      const name = thrown.name;
      const message = thrown.message;
      if (typeof message !== 'string') return 'an object without a message was thrown';
      return typeof name === 'string' && name !== '' ? name + ': ' + message : message;
    } catch {
      return 'a value that cannot be described was thrown';
    }
  };
  const failThrown = (thrown) => {
    fail('threw', describe(thrown));
    try {
      const stack = typeof thrown === 'object' && thrown !== null ? thrown.stack : undefined;
      if (typeof stack === 'string') record('uncaught: ' + stack);
    } catch {
      // A stack is a courtesy; a script that breaks its own gets none.
    }
  };

  // The result's JSON text. Own code instead of JSON.stringify, because that turns what JSON cannot hold into something else
  // (NaN into null) and calls hooks more than once; here each property is read exactly once.
  const refusal = { __proto__: null };
  let text = '';
  const emit = (piece) => {
    text += piece;
    if (text.length > outputLimit) {
      fail('output_limit', '');
      throw refusal;
    }
  };
  const isPlainName = (key) => {
    if (key.length === 0) return false;
    for (let index = 0; index < key.length; index += 1) {
      const unit = charCodeAt(key, index);
      const letter = (unit >= 97 && unit <= 122) || (unit >= 65 && unit <= 90) || unit === 95 || unit === 36;
      if (!letter && (index === 0 || unit < 48 || unit > 57)) return false;
    }
    return true;
  };
  const step = (key) => {
    if (typeof key === 'number') return '[' + key + ']';
    return isPlainName(key) ? '.' + key : '[' + jsonStringify(slice(key, 0, MAX_PATH_UNITS)) + ']';
  };
  const refuse = (what, key, parent) => {
    let path = key === undefined ? '' : step(key);
    for (let node = parent; node !== undefined; node = node.parent) {
      if (node.key !== undefined) path = step(node.key) + path;
    }
    if (path.length > MAX_PATH_UNITS) path = slice(path, 0, MAX_PATH_UNITS) + '...';
    fail('not_json', 'the value at $' + path + ' is ' + what);
    throw refusal;
  };
  // What JSON.stringify would write for this property: toJSON applied, boxed primitives opened.
  const prepare = (value, key) => {
    const type = typeof value;
    if ((type === 'object' && value !== null) || type === 'function' || type === 'bigint') {
      const hook = value.toJSON;
      if (typeof hook === 'function') value = apply(hook, value, [key === undefined ? '' : toText(key)]);
    }
    if (typeof value === 'object' && value !== null && !isArray(value)) {
      const prototype = getPrototypeOf(value);
      if (prototype !== objectPrototype && prototype !== null) {
        try { return numberValue(value); } catch {}
        try { return stringValue(value); } catch {}
        try { return booleanValue(value); } catch {}
      }
    }
    return value;
  };
  const serialize = (value, key, parent, depth) => {
    switch (typeof value) {
      case 'string':
        if (!isWellFormed(value)) refuse('a string with a lone surrogate', key, parent);
        if (value.length > outputLimit) emit(value);
        emit(jsonStringify(value));
        return;
      case 'number':
        if (value - value !== 0) refuse('' + value, key, parent);
        emit('' + value);
        return;
      case 'boolean': emit(value ? 'true' : 'false'); return;
      case 'undefined': refuse('undefined', key, parent); return;
      case 'function': refuse('a function', key, parent); return;
      case 'symbol': refuse('a symbol', key, parent); return;
      case 'bigint': refuse('a BigInt', key, parent); return;
      default:
    }
    if (value === null) { emit('null'); return; }
    if (depth >= MAX_DEPTH) refuse('nested deeper than ' + MAX_DEPTH + ' levels', key, parent);
    for (let node = parent; node !== undefined; node = node.parent) {
      if (node.object === value) refuse('part of a cycle', key, parent);
    }
    const self = { __proto__: null, object: value, key, parent };
    if (isArray(value)) {
      const length = value.length;
      emit('[');
      for (let index = 0; index < length; index += 1) {
        if (index > 0) emit(',');
        serialize(prepare(value[index], index), index, self, depth + 1);
      }
      emit(']');
      return;
    }
    const keys = objectKeys(value);
    let first = true;
    emit('{');
    for (let index = 0; index < keys.length; index += 1) {
      const name = keys[index];
      const item = prepare(value[name], name);
      if (item === undefined) continue;
      if (!isWellFormed(name)) refuse('under a key with a lone surrogate', undefined, self);
      emit((first ? '' : ',') + jsonStringify(name) + ':');
      first = false;
      serialize(item, name, self, depth + 1);
    }
    emit('}');
  };

  const run = async () => {
    let value;
    try {
      // Top-level `const` and `class` are not properties of the global object: only an evaluated identifier finds them all.
      const main = indirectEval('typeof mainFunction === "undefined" ? undefined : mainFunction');
      if (typeof main !== 'function') {
        fail('no_main_function', 'the script defines no function named mainFunction');
        return;
      }
      value = await apply(main, undefined, [params]);
    } catch (thrown) {
      failThrown(thrown);
      return;
    }
    try {
      serialize(prepare(value, undefined), undefined, undefined, 0);
      outcome = 'V' + text;
    } catch (thrown) {
      if (thrown !== refusal) failThrown(thrown);
    }
  };

  // V8 compiles a function when it is first called: here, while the child gets ready, not while a job waits.
  outputLimit = 100;
  logLimit = 100;
  serialize(prepare({ warm: [1, 'up', null, true] }, undefined), undefined, undefined, 0);
  write('log', { length: 1, 0: 'warm' });
  describe(new Error('warm'));
  fail('threw', '');
  indirectEval('0');
  text = logText = '';
  logUnits = 0;
  outcome = undefined;

  // The host's three calls, in this order. With no arguments after the first one.
  let stage = 0;
  return (settings, paramsText) => {
    stage += 1;
    if (stage === 1) {
      const values = jsonParse(settings);
      now = values.now;
      logLimit = values.log;
      outputLimit = values.output;
      s0 = values.s0 | 0; s1 = values.s1 | 0; s2 = values.s2 | 0; s3 = values.s3 | 0;
      params = jsonParse(paramsText);
      return undefined;
    }
    if (stage === 2) {
      run();
      return undefined;
    }
    return (outcome === undefined ? 'P' : outcome) + logText;
  };
})()
