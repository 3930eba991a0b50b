'use strict';

// What the page asks of the API, and how: with the token that was typed, if
// any, as JSON, and noted as a command of curl.

const api = (() => {
    const KEY = 'agents-console-token';
    const base = document.documentElement.dataset.api;

    // A refusal, as the server words it; "problem" is {} if it has no words.
    class Refusal extends Error {
        constructor(status, problem) {
            super(`${status} ${problem.title || 'without a reason'}`);
            this.status = status;
            this.problem = problem;
        }
    }

    function setToken(token) {
        if (token === '') {
            sessionStorage.removeItem(KEY);
        } else {
            sessionStorage.setItem(KEY, token);
        }
    }

    // Numbers stay as they were written, where the browser has a way to keep
    // them: 1.0 is no 1, and some have more digits than a double.
    function parse(text) {
        return JSON.parse(text, (key, value, context) => {
            const source = context && context.source;
            const other = typeof value === 'number' && JSON.rawJSON
                          && source !== undefined && String(value) !== source;
            return other ? JSON.rawJSON(source) : value;
        });
    }

    function quoted(text) {
        return `'${text.replaceAll("'", "'\\''")}'`;
    }

    function curl(method, path, headers, body) {
        const words = ['curl'];
        if (headers.Accept === 'text/event-stream') {
            words.push('-N');
        }
        if (method !== 'GET') {
            words.push('-X', method);
        }
        let text = [...words, quoted(location.origin + base + path)].join(' ');
        for (const [name, value] of Object.entries(headers)) {
            text += name === 'Authorization'
                ? ' \\\n  -H "Authorization: Bearer $TOKEN"'
                : ` \\\n  -H ${quoted(`${name}: ${value}`)}`;
        }
        return body === undefined ? text
               : `${text} \\\n  --data-raw ${quoted(body)}`;
    }

    // What is no JSON (a proxy's page, for one) counts as no words.
    async function refusal(answer) {
        const text = await answer.text();
        try {
            return new Refusal(answer.status, Object(parse(text)));
        } catch {
            return new Refusal(answer.status, {});
        }
    }

    // The answer, good or 304; a Refusal or fetch's own error is thrown.
    async function send(method, path, { body, headers = {}, signal } = {}) {
        const sent = { ...headers };
        const token = sessionStorage.getItem(KEY);
        if (token !== null) {
            sent.Authorization = `Bearer ${token}`;
        }
        if (body !== undefined) {
            sent['Content-Type'] = 'application/json';
        }
        const entry = { method, path: base + path, status: '',
                        curl: curl(method, path, sent, body) };
        out.onRequest(entry);
        let answer;
        try {
            answer = await fetch(base + path, { method, body, signal,
                headers: sent, cache: 'no-store', credentials: 'same-origin' });
            entry.status = answer.status;
        } catch (error) {
            entry.status = error.name === 'AbortError' ? 'left' : 'no answer';
            throw error;
        } finally {
            out.onRequest(entry);
        }
        if (!answer.ok && answer.status !== 304) {
            throw await refusal(answer);
        }
        return answer;
    }

    async function json(method, path, body, signal) {
        const answer = await send(method, path, { signal,
            body: body === undefined ? undefined : JSON.stringify(body) });
        return answer.status === 204 ? null : parse(await answer.text());
    }

    // One event of a stream: its lines end with LF, as the server has them.
    function event(text) {
        const fields = { event: '', id: '', data: '' };
        for (const line of text.split('\n')) {
            const at = line.indexOf(': ');
            const name = line.slice(0, at);
            if (at > 0 && name in fields) {
                fields[name] += line.slice(at + 2);
            }
        }
        return fields.data === '' ? null
               : { ...fields, data: parse(fields.data) };
    }

    // The events after "last", until the stream ends, however it ends.
    async function* events(id, last, signal) {
        const headers = { Accept: 'text/event-stream' };
        if (last !== '') {
            headers['Last-Event-ID'] = last;
        }
        const answer = await send('GET', `/runs/${id}/events`,
                                  { headers, signal });
        const reader = answer.body.getReader();
        const decoder = new TextDecoder();
        let text = '';
        for (;;) {
            const { done, value } = await reader.read();
            if (done) {
                return;
            }
            text += decoder.decode(value, { stream: true });
            const whole = text.split('\n\n');
            text = whole.pop();
            for (const part of whole) {
                const got = event(part);
                if (got !== null) {
                    yield got;
                }
            }
        }
    }

    // The run, and its tag: as it is where no tag is given, else as soon as it
    // is another than that; null if it is not, after a while.
    async function changed(id, tag, signal) {
        const answer = await send('GET',
            `/runs/${id}?wait=${tag === undefined ? 0 : 20}`,
            { headers: tag ? { 'If-None-Match': tag } : {}, signal });
        return answer.status === 304 ? null
               : { tag: answer.headers.get('ETag') || '',
                   run: parse(await answer.text()) };
    }

    // crypto.randomUUID is for https alone
    function uuid() {
        const b = crypto.getRandomValues(new Uint8Array(16));
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        const hex = Array.from(b, (n) => n.toString(16).padStart(2, '0'));
        return hex.join('').replace(/^(.{8})(.{4})(.{4})(.{4})/,
                                    '$1-$2-$3-$4-');
    }

    // onRequest is told of a request when it goes and when it is answered
    const out = { Refusal, base, changed, events, json, parse, setToken, uuid,
                  onRequest: () => {} };
    return out;
})();
