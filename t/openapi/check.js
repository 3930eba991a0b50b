// Holds recorded exchanges (t/lib/AgentsTest/Record.pm) against the API's
// description:
//
//     node check.js [--all] DOCUMENT FOLDER
//
// Each answer has to be one that the document has for that path, method and
// status: media type, headers and body.  A body that was accepted has to fit
// its schema, one that does not fit has to have been refused; and one that
// fits was refused for its form only for a reason that a schema cannot say.
// With --all every success that the document has must have been seen.
//
// Prints a line per finding and a summary; exit status 1 on findings.

'use strict';

const fs = require('fs');
const path = require('path');
const Ajv = require('ajv/dist/2020').default;
const addFormats = require('ajv-formats').default;

const MOST_FINDINGS = 50;

// What makes a request invalid that no schema says: the details of faults.
const UNSAYABLE = [
    /^malformed JSON at line/,      // repeated keys, U+0000, depth, 64 bits
    /^is the \w+ of an earlier entry too$/,
    /^differs from the system_prompt beside/,
    /^a schema must have at most \d+ values in it$/,
    /^must be an integer of at least/,      // 1e17: exact up to 2^53 only
    /^has a (?:host|port|"\[")/, /^has (?:no host|no valid IPv6)/,
    /^has something other than a port/,
];

const FORM = new Set(['invalid-request', 'invalid-tool-alias',
    'invalid-caller-tool-name', 'invalid-output-schema']);

const all = process.argv[2] === '--all';
const [file, folder] = process.argv.slice(all ? 3 : 2);
const doc = JSON.parse(fs.readFileSync(file, 'utf8'));

// With a discriminator findings are about the one schema that it names.
const ajv = new Ajv({ strict: false, discriminator: true });
addFormats(ajv);
withoutMapping(doc.components.schemas);
ajv.addSchema(doc, 'doc');

const validators = new Map();
const findings = new Map();
const seen = new Set();
let exchanges = 0;


// ---- the document ----

// Ajv has no use for them: it reads the constants.
function withoutMapping(value) {
    if (value && typeof value === 'object') {
        delete (value.discriminator || {}).mapping;
        Object.values(value).forEach(withoutMapping);
    }
}

function resolved(value) {
    if (!value || !value.$ref) {
        return value;
    }
    return value.$ref.slice(2).split('/').map(unescape_).reduce(
        (at, key) => at[key], doc);
}

function unescape_(part) {
    return part.replace(/~1/g, '/').replace(/~0/g, '~');
}

// A validator of what stands at this place of the document.
function at(...keys) {
    const pointer = keys.map((k) => '/' + encodeURIComponent(
        String(k).replace(/~/g, '~0').replace(/\//g, '~1'))).join('');
    if (!validators.has(pointer)) {
        validators.set(pointer, ajv.compile({ $ref: 'doc#' + pointer }));
    }
    return validators.get(pointer);
}

// The same of a place behind a reference.
function under(value, keys) {
    return value.$ref ? value.$ref.slice(2).split('/').map(unescape_) : keys;
}

const routes = Object.keys(doc.paths).map((template) => ({
    template,
    segments: template.split('/').slice(1),
    methods: Object.keys(doc.paths[template])
        .filter((key) => key !== 'parameters'),
}));

function decoded(segment) {
    try {
        return decodeURIComponent(segment);
    } catch {
        return segment;
    }
}

function routeOf(target) {
    const segments = target.split('?')[0].split('/').slice(1);
    return routes.find((route) =>
        route.segments.length === segments.length
        && route.segments.every((s, i) => segments[i] !== ''
            && (s.startsWith('{') || s === decoded(segments[i]))));
}

function allowOf(route) {
    const methods = route.methods.map((m) => m.toUpperCase());
    return methods.concat(methods.includes('GET') ? ['HEAD'] : [])
        .sort().join(', ');
}


// ---- exchanges ----

function finding(exchange, text) {
    const where = `${exchange.method} ${exchange.template
        || exchange.path.slice(0, 100)} ${exchange.status}: ${text}`;
    const known = findings.get(where);
    findings.set(where, { n: known ? known.n + 1 : 1,
                          of: known ? known.of : exchange });
}

function parsed(bytes) {
    try {
        const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
        return { value: JSON.parse(text) };
    } catch {
        return null;
    }
}

function errorsOf(validate) {
    return validate.errors.map((e) => `${e.instancePath || '/'} ${e.message}`
        + (e.params.unevaluatedProperty || e.params.additionalProperty
           ? ` (${e.params.unevaluatedProperty
                  || e.params.additionalProperty})` : ''))
        .join('; ').replace(/\/\d+\b/g, '/N').slice(0, 400);
}

function checkProblem(exchange) {
    if (exchange.status < 400) {
        finding(exchange, 'answered, though the document has no such thing');
    } else if (exchange.method !== 'HEAD') {
        const media = mediaOf(exchange);
        const body = parsed(exchange.response);
        const validate = at('components', 'schemas', 'Problem');
        if (media !== 'application/problem+json' || !body) {
            finding(exchange, `no problem, but ${media}`);
        } else if (!validate(body.value)) {
            finding(exchange, errorsOf(validate));
        }
    }
}

function mediaOf(exchange) {
    return (exchange.headers['content-type'] || 'nothing')
        .split(';')[0].trim().toLowerCase();
}

function checkResponse(exchange, keys) {
    const place = resolved(keys.reduce((a, k) => a[k], doc));
    const where = under(keys.reduce((a, k) => a[k], doc), keys);

    for (const [name, ref] of Object.entries(place.headers || {})) {
        const header = resolved(ref);
        const value = exchange.headers[name.toLowerCase()];
        if (value === undefined) {
            if (header.required) {
                finding(exchange, `header ${name} is missing`);
            }
            continue;
        }
        const validate = at(...under(ref, [...where, 'headers', name]),
                            'schema');
        if (!validate(value)) {
            finding(exchange, `header ${name}: ${errorsOf(validate)}`);
        }
    }
    for (const name of ['Allow', 'Location', 'Retry-After', 'ETag',
                        'Idempotency-Replayed']) {
        if (exchange.headers[name.toLowerCase()] !== undefined
            && !(place.headers && place.headers[name])) {
            finding(exchange, `header ${name} is not declared`);
        }
    }

    if (!place.content) {
        if (exchange.response.length) {
            finding(exchange, 'a body that is not declared');
        }
        return;
    }
    const media = mediaOf(exchange);
    if (!place.content[media]) {
        finding(exchange, `${media} is not declared`);
    } else if (media === 'text/event-stream') {
        checkEvents(exchange, [...where, 'content', media, 'schema']);
    } else if (exchange.method !== 'HEAD') {
        const body = parsed(exchange.response);
        const validate = at(...where, 'content', media, 'schema');
        if (!body) {
            finding(exchange, 'the body is no JSON');
        } else if (!validate(body.value)) {
            finding(exchange, errorsOf(validate));
        }
    }
}

// A stream of events: each as the document has one of that name.
function checkEvents(exchange, keys) {
    const validate = at(...keys, 'contentSchema');
    const text = exchange.response.toString('utf8');

    for (const block of text.split('\n\n')) {
        const event = {};
        for (const line of block.split('\n').filter((l) => /^[^:]/.test(l))) {
            const [, name, value] = /^(\w+): (.*)$/.exec(line) || [, line, ''];
            event[name] = value;
        }
        if (event.data !== undefined) {
            const data = parsed(Buffer.from(event.data));
            event.data = data ? data.value : event.data;
        }
        if (Object.keys(event).length && !validate(event)) {
            finding(exchange, `event ${event.event}: ${errorsOf(validate)}`);
        }
    }
    if (exchange.method !== 'HEAD' && text !== '' && !text.endsWith('\n\n')) {
        finding(exchange, 'the last event is cut off');
    }
}

// Faults of form that schemas could have said.
function sayable(exchange) {
    const body = parsed(exchange.response);
    const errors = (body && body.value.errors) || [];
    return errors.filter((e) => FORM.has(e.code)
        && !UNSAYABLE.some((reason) => reason.test(e.detail)));
}

function checkRequest(exchange, keys, operation) {
    const json = /^application\/json\s*(;|$)/i.test(exchange.type || '');
    if (!operation.requestBody || exchange.request === null || !json) {
        return;
    }
    const refused = exchange.status >= 400;
    const body = parsed(exchange.request);
    if (!body) {
        if (!refused) {
            finding(exchange, 'accepted a body that is no JSON');
        }
        return;
    }
    const validate = at(...keys, 'requestBody', 'content', 'application/json',
                        'schema');
    if (!validate(body.value)) {
        if (!refused) {
            finding(exchange, 'accepted a body that the document forbids: '
                    + errorsOf(validate));
        }
    } else if (exchange.status === 400) {
        for (const fault of sayable(exchange)) {
            finding(exchange, 'refused a body that the document allows: '
                    + `${fault.pointer} ${fault.detail}`.slice(0, 200));
        }
    }
}

function checkQuery(exchange, route, operation) {
    const declared = [...(doc.paths[route.template].parameters || []),
                      ...(operation.parameters || [])]
        .map((ref) => ({ ref, ...resolved(ref) }))
        .filter((parameter) => parameter.in === 'query');
    const query = (exchange.path.split('?')[1] || '').split('&');
    let bad = null;

    for (const parameter of declared) {
        const validate = at(...under(parameter.ref, []), 'schema');
        let times = 0;
        for (const pair of query) {
            const [name, ...value] = pair.split('=');
            const text = decoded(value.join('='));
            if (decoded(name) === parameter.name
                && (++times > 1 || !/^[0-9]+$/.test(text)
                    || !validate(Number(text)))) {
                bad = pair;
            }
        }
    }
    if (bad && exchange.status < 400) {
        finding(exchange, `accepted ${bad}`);
    } else if (!bad && exchange.status === 400 && !operation.requestBody
               && sayable(exchange).length) {
        finding(exchange, 'refused a query that the document allows: '
                + exchange.path.slice(0, 100));
    }
}

function check(exchange) {
    const route = routeOf(exchange.path);
    exchanges++;
    if (!route) {
        return checkProblem(exchange);
    }
    exchange.template = route.template;

    const method = exchange.method === 'HEAD' ? 'get'
                                              : exchange.method.toLowerCase();
    const allow = exchange.headers.allow;
    if (allow !== undefined && allow !== allowOf(route)) {
        finding(exchange, `Allow is "${allow}", not "${allowOf(route)}"`);
    }
    if (!route.methods.includes(method)) {
        if (exchange.status === 405 && allow === undefined) {
            finding(exchange, 'header Allow is missing');
        }
        return checkProblem(exchange);
    }

    const keys = ['paths', route.template, method];
    const operation = doc.paths[route.template][method];
    if (!operation.responses[exchange.status]) {
        return finding(exchange, 'the status is not declared');
    }
    seen.add([route.template, method, exchange.status].join(' '));
    checkResponse(exchange, [...keys, 'responses', String(exchange.status)]);
    checkRequest(exchange, keys, operation);
    checkQuery(exchange, route, operation);
    return undefined;
}

// A line of JSON, then the bytes of both bodies.
function checkFile(name) {
    const bytes = fs.readFileSync(name);
    let offset = 0;
    while (offset < bytes.length) {
        const end = bytes.indexOf(10, offset);
        const exchange = JSON.parse(bytes.toString('utf8', offset, end));
        offset = end + 1;
        for (const part of ['request', 'response']) {
            const length = exchange[part];
            exchange[part] = length === null ? null
                           : bytes.subarray(offset, offset + length);
            offset += length || 0;
        }
        check(exchange);
    }
}

function unseen() {
    return routes.flatMap((route) => route.methods.flatMap((method) =>
        Object.keys(doc.paths[route.template][method].responses)
            .filter((status) => status < 400)
            .map((status) => [route.template, method, status].join(' '))
            .filter((key) => !seen.has(key))));
}


for (const name of fs.readdirSync(folder).sort()) {
    checkFile(path.join(folder, name));
}
if (all) {
    for (const key of unseen()) {
        const [template, method, status] = key.split(' ');
        finding({ method: method.toUpperCase(), template, status },
                'is declared, and no test has seen it');
    }
}

let shown = 0;
for (const [where, { n, of }] of findings) {
    if (shown++ < MOST_FINDINGS) {
        console.log(where + (n > 1 ? ` (${n} times)` : ''));
        if (process.env.AGENTS_VERBOSE && of.response) {
            console.log(`    ${of.path}\n    ${of.request
                ? of.request.subarray(0, 500) : ''}\n    ${
                of.response.subarray(0, 1000)}`);
        }
    }
}
console.log(`${exchanges} exchanges, ${seen.size} kinds of answers, `
            + `${findings.size} findings`);
process.exitCode = findings.size ? 1 : 0;
