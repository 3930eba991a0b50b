// Drives the console's page, as served, in jsdom, and prints what holds, a line
// of JSON each:
//
//     node console.js MODULES '[{"scenario": "run", "base": URL, ...}, ...]'

import { createRequire } from 'node:module';

const [modules, list] = process.argv.slice(2);
const { JSDOM, VirtualConsole } = createRequire(`${modules}/`)('jsdom');
let given;      // to the scenario that is on
const EVIL = '"><img src=x onerror="pwned=1"><script>pwned=1</script>';

function check(name, ok, seen) {
    process.stdout.write(`${JSON.stringify({ scenario: given.scenario, name,
                                             ok: Boolean(ok), seen })}\n`);
}

async function until(what, condition) {
    const end = Date.now() + 60000;
    while (!condition()) {
        if (Date.now() > end) {
            throw new Error(`waited for: ${what}`);
        }
        await new Promise((done) => setTimeout(done, 5));
    }
}

// The page in a window whose fetch is node's; "answer" may change what comes.
async function open({ token, hash = '', answer = (a) => a } = {}) {
    const virtualConsole = new VirtualConsole();
    virtualConsole.on('jsdomError', (error) => {
        check('the script runs', false, String(error.stack || error));
    });
    const dom = await JSDOM.fromURL(`${given.base}/console/${hash}`, {
        runScripts: 'dangerously', resources: 'usable', virtualConsole,
        beforeParse(window) {
            Object.assign(window, { AbortController, TextDecoder,
                confirm: () => true,
                fetch: async (path, options) => answer(await fetch(
                    new URL(path, window.location), options), path, options) });
            if (token !== undefined) {
                window.sessionStorage.setItem('agents-console-token', token);
            }
        },
    });
    const { window } = dom;
    const { document } = window;
    await new Promise((done) => window.addEventListener('load', done));

    const $ = (id) => document.getElementById(id);
    const page = { window, document, $,
        all: (selector) => [...document.querySelectorAll(selector)],
        shown: (id) => !$(id).closest('[hidden]'),
        messages: () => page.all('#messages article').length,
        said: () => $('problem').textContent,
        log: () => $('requests').textContent,
        fill(values) {
            for (const [id, value] of Object.entries(values)) {
                $(id).value = value;
            }
        },
        submit: (id) => $(id).requestSubmit(),
        idle: () => until('the form to be done', () =>
            page.all('[data-busy]').length === 0),
        // sends a message, and waits for the end of its run: it makes so many
        // messages, and shows the form
        async say(text, messages, form = 'send') {
            const all = page.messages() + messages;
            $('text').value = text;
            page.submit('send');
            await page.idle();
            await until(`${messages} messages`, () => page.shown(form)
                && page.messages() === all);
        },
        async go(id) {
            window.location.hash = `#c/${id}`;
            await until('the conversation', () => page.shown('conversation'));
        } };
    return page;
}

// Somebody else's.
async function request(method, path, body) {
    const answer = await fetch(`${given.base}/agents${path}`, { method,
        headers: { Authorization: `Bearer ${given.token}`,
                   'Content-Type': 'application/json' },
        body: JSON.stringify(body) });
    if (!answer.ok) {
        throw new Error(`${method} ${path}: ${answer.status}`);
    }
}

const script = (...entries) => JSON.stringify({ script: entries });

// ---- scenarios ----

const scenarios = {
    async token() {
        const page = await open();
        const { $ } = page;
        await until('a refusal', () => page.said());
        check('without a token: 401', /^401 Unauthorized/.test(page.said()),
              page.said());
        check('the token is asked for',
              page.document.activeElement === $('token'));
        $('token').value = 'wrong';
        page.submit('access');
        await until('another', () => /401 Invalid Token/.test(page.said()));
        check('nothing is listed', $('list').children.length === 0);
        $('token').value = ` ${given.token} `;
        page.submit('access');
        await until('the list', () => $('list').children.length > 0);
        check('a good one: the list', $('list').children.length === 25
              && $('page').textContent === 'page 1 of 2' && !page.said());
        check('it is in sessionStorage alone',
              page.window.sessionStorage.getItem('agents-console-token')
              === given.token && page.window.localStorage.length === 0
              && page.document.cookie === '' && $('token').value === '');
        check('and nowhere in the page',
              !page.document.documentElement.outerHTML.includes(given.token));
        $('older').click();
        await until('page 2', () => $('list').children.length === 6);
        check('the last page', $('older').disabled && !$('newer').disabled);
        $('forget').click();
        await until('a refusal', () => /^401/.test(page.said()));
        check('forgotten', page.window.sessionStorage.length === 0
              && $('list').children.length === 0);
    },

    async create() {
        const page = await open({ token: given.token, hash: '#new' });
        const { $ } = page;
        const fault = (field) => field.getAttribute('aria-invalid')
            && $(field.getAttribute('aria-describedby')).textContent;
        await until('the models', () => $('new-cluster').value);
        check('what may be named', $('new-model').value === given.model
              && $('new-plane').value === given.plane
              && /32000/.test($('new-tokens').placeholder));

        page.fill({ 'new-tools': '[{' });
        page.submit('new');
        await page.idle();
        check('what is not JSON is not sent', fault($('new-tools'))
              && !/POST/.test(page.log()), page.said());

        $('add-server').click();
        $('add-server').click();
        const row = $('servers').lastElementChild.querySelectorAll('input');
        row[0].value = 'no-alias';
        row[1].value = given.mcp;
        page.fill({ 'new-name': "it's a name", 'new-iterations': 'many',
            'new-temperature': '0.7', 'new-schema': '{"type": "text"}',
            'new-tools': JSON.stringify([{ name: 'a-b',
                input_schema: { type: 'object' } }]) });
        page.submit('new');
        await page.idle();
        check('a 400 is told', /^400 /.test(page.said())
              && /log_id: [0-9a-f]{32}/.test(page.said()), page.said());
        check('each fault at its field',
              /integer from 1 to 100/.test(fault($('new-iterations')))
              && /ASCII letters/.test(fault(row[0]))
              && /^\/0\/name must/.test(fault($('new-tools')))
              && /^\/type/.test(fault($('new-schema')))
              && page.all('.fault').length === 4,
              page.all('.fault').map((node) => node.textContent));
        check('the first has the focus',
              page.document.activeElement === $('new-iterations'));

        row[0].value = 'mcp';
        page.fill({ 'new-iterations': '8', 'new-schema': '',
                    'new-tools': '' });
        page.submit('new');
        await until('the conversation', () => page.shown('conversation'));
        check('made and shown', $('conversation-title').textContent
              === "it's a name" && !page.said() && !page.all('.fault').length);
        check('as it was asked for', /"alias": "mcp"/.test(
            $('configuration').textContent)
            && /"temperature": 0.7/.test($('configuration').textContent));
        const made = page.all('#requests details').find((node) =>
            /POST \/agents\/conversations · 201/.test(node.textContent));
        check('as curl', made, made.querySelector('pre').textContent);
    },

    async run() {
        const page = await open({ token: given.token });
        const { $ } = page;
        await page.go(given.conversation);
        const live = () => $('live-turns').textContent;
        const pieces = new Set();
        const watch = new page.window.MutationObserver(() => {
            const said = live().match(/It is five[^]*/);
            pieces.add(said ? said[0].length : 0);
        });
        watch.observe($('live-turns'), { childList: true, subtree: true,
                                         characterData: true });
        $('text').value = script({ tools: [['mcp-add', { a: 2, b: 3 }]],
                                   delay: 0.2 },
                                 { text: 'It is five, more or less.', pieces: 8,
                                   pace: 0.05 });
        page.submit('send');
        $('text').focus();
        await until('a run', () => page.shown('live'));
        check('what was sent', /mcp-add/.test(live()) && !page.shown('send'));
        check('the keyboard is where it can be stopped',
              page.document.activeElement === $('cancel'));
        await until('its call', () => /calls mcp-add/.test(live()));
        check('the call', /"a": 2/.test(live()), live());
        await until('its result', () => /result of/.test(live()));
        await until('its end', () => page.messages() === 4);
        check('as it was said', pieces.size > 3, [...pieces]);
        const messages = $('messages').textContent;
        check('the messages', /calls mcp-add/.test(messages)
              && /result of/.test(messages)
              && /It is five, more or less\.$/.test(messages), messages);
        await until('a form', () => page.shown('send'));
        await page.idle();
        check('the keyboard is where one goes on',
              page.document.activeElement === $('text'));
        check('its run', /^completed.*iterations: 2 · tokens: \d+ \+ \d+/.test(
            $('runs').textContent) && !page.shown('live'));

        $('name').value = 'another';
        page.submit('rename');
        await until('the name', () => /another/.test(
            page.all('[aria-current=true]').map((n) => n.textContent)));
        check('renamed', $('conversation-title').textContent === 'another');

        // somebody else has been here
        await request('POST', `/conversations/${given.conversation}/runs`, {
            client_op_id: page.window.eval('api.uuid()'), expected_version: 4,
            payload: { kind: 'user_message', text: 'hello' } });
        $('text').value = 'mine';
        page.submit('send');
        await until('a refusal', () => page.said());
        check('a conflict', /^409 Version Conflict/.test(page.said())
              && $('text').value === 'mine', page.said());
        await until('what had happened', () => /echo: hello/.test(
            $('messages').textContent));
        await until('a form', () => page.shown('send'));
        await page.say('mine', 2);
        check('and then it is sent', /echo: mine$/.test(
            $('messages').textContent));

        $('delete').click();
        await until('the list without it', () => $('list').children.length
            && !page.all('#list a').some((a) =>
                a.hash.includes(given.conversation)));
        check('deleted', !page.shown('conversation') && !page.said());
    },

    async tools() {
        const page = await open({ token: given.token });
        const { $ } = page;
        await page.go(given.conversation);
        const big = { n: 1 };
        const text = script({ tools: [['confirm', big, 'c1'],
                                      ['confirm', { what: 'two' }, 'c2']] },
                            { tool_results: 1 });
        await page.say(text.replace('"n":1', '"n":12345678901234567890'), 2,
                       'outputs');
        check('calls that wait', page.shown('outputs') && !page.shown('send')
              && $('calls').children.length === 2
              && /^requires_action/.test($('runs').textContent));
        const exact = page.window.eval('Boolean(JSON.rawJSON)');
        check('numbers as they came', /12345678901234567890/.test(
            $('calls').textContent) === exact);
        const areas = page.all('#calls textarea');
        check('each has a label', areas.every((area) =>
            page.document.querySelector(`label[for="${area.id}"]`)));
        areas[0].value = 'x'.repeat(10);
        areas[1].value = 'the second';
        page.all('#calls input')[1].checked = true;
        page.submit('outputs');
        await until('its end', () => page.messages() === 4);
        await until('the form', () => page.shown('send'));
        const messages = $('messages').textContent;
        check('answered', /result of .*xxxxxxxxxx.*error of .*the second/.test(
            messages) && page.all('#messages .failed').length === 1
            && !$('calls').children.length, messages);

        $('text').value = script({ text: 'late', delay: 30 });
        page.submit('send');
        await until('a run', () => page.shown('live'));
        $('cancel').click();
        await until('its end', () => /^failed/.test($('runs').textContent));
        const link = page.all('#runs .failed a')[0];
        check('cancelled', /Cancelled \(AgentLoopCancelled\)/.test(
            $('runs').textContent) && link.href
            === `${given.base}/errors/cancelled` && /noopener/.test(link.rel));
        check('no error', !page.said(), page.said());
    },

    // The first stream breaks, the second ends, the third does not come: in
    // between the page asks, and is told of each new name.
    async cut() {
        let streams = 0;
        const page = await open({ token: given.token,
            async answer(a, path) {
                if (!path.endsWith('/events') || ++streams > 3) {
                    return a;
                }
                await a.body.cancel();
                if (streams === 3) {
                    throw new TypeError('no way');
                }
                const body = new ReadableStream({ pull(c) {
                    return streams === 1 ? c.error(new TypeError('cut'))
                                         : c.close();
                } });
                return new Response(body, { headers: a.headers });
            } });
        const { $ } = page;
        await page.go(given.conversation);
        $('text').value = script({ text: 'x', tools: [['mcp-add',
            { a: 1, b: 1 }]] }, { text: 'late', delay: 60 });
        page.submit('send');
        for (let n = 0; streams < 4; n++) {
            await request('PATCH', `/conversations/${given.conversation}`,
                          { name: `name ${n}` });
        }
        check('it asks, and tries again',
              /\?wait=0 · 200/.test(page.log())
              && /\?wait=20 · 200/.test(page.log()), page.log());
        await until('the turns', () => /result of/.test(
            $('live-turns').textContent));
        $('cancel').click();
        await until('its end', () => page.shown('send'));
        check('it comes to the end', /^failed/.test($('runs').textContent)
              && page.messages() === 3 && !page.said(), page.said());
    },

    // Whatever a server, a model or a tool says is text.
    async evil() {
        const keep = /^(?:id|tool_use_id|status|role|kind|type|event)$/;
        const links = [];
        const spoil = (value, key = '') =>
            Array.isArray(value) ? value.map((v) => spoil(v))
            : value && typeof value === 'object' ? Object.fromEntries(
                Object.entries(value).map(([k, v]) => [k, spoil(v, k)]))
            : typeof value !== 'string' ? value
            : /^https?:/.test(value) ? 'javascript:pwned=1'
            : keep.test(key) ? value
            : key === 'pointer' ? `${value}/${EVIL}` : EVIL + value;
        const page = await open({ token: given.token,
            async answer(a, path) {
                const text = await a.text();
                const lines = path.endsWith('/events') && a.ok
                    ? text.replace(/^data: (.*)/mg, (all, data) =>
                        `data: ${JSON.stringify(spoil(JSON.parse(data)))}`)
                    : JSON.stringify(spoil(JSON.parse(text)));
                return new Response(lines, { status: a.status,
                                             headers: a.headers });
            } });
        const { $, document, window } = page;
        await page.go(given.conversation);
        await page.say(EVIL + '1', 2);
        check('what is said is shown',
              $('messages').textContent.includes(EVIL));
        await page.say(script({ text: EVIL, tools: [
            ['mcp-echo', { text: EVIL }], ['mcp-fail', {}],
            ['confirm', { [EVIL]: EVIL }]] }), 3, 'outputs');
        check('so are tools', $('calls').textContent.includes('onerror')
              && $('messages').querySelector('.failed'));
        page.all('#calls textarea')[0].value = EVIL;
        page.submit('outputs');
        await until('the end', () => page.shown('send'));
        await page.say(script({ error: [400, 'bad', EVIL] }), 0);
        await until('an error', () => /^failed/.test($('runs').textContent));
        check('so are errors of runs', page.all('#runs .failed').some((node) =>
              node.textContent.includes(EVIL)));
        links.push(...page.all('a'));
        window.location.hash = '#new';
        await until('the models', () => $('new-cluster').value);
        page.submit('new');
        await page.idle();
        check('so are refusals', page.said().includes(EVIL)
              && page.all('.fault').some((n) => n.textContent.includes(EVIL)),
              page.said());
        check('and lists', $('list').textContent.includes(EVIL)
              && $('new-cluster').value.includes(EVIL));
        check('nothing became markup', page.all('img, script:not([src]),'
              + ' [onerror], [style]').length === 0);
        check('nothing ran', window.pwned === undefined);
        const hrefs = [...links, ...page.all('a')].map((a) =>
            a.getAttribute('href'));
        check('no address is one of theirs', hrefs.includes(null)
              && hrefs.every((href) => href === null || /^#/.test(href)),
              hrefs);
    },

    // Known without a token, and the API at another path.
    async variables() {
        const page = await open();
        await until('the list', () => page.$('list').children.length === 1);
        check('no token is asked for', !page.said(), page.said());
        check('the path', page.$('api').textContent === '/v1/agents'
              && /GET \/v1\/agents\/conversations\S+ · 200/.test(page.log()),
              page.log());
        check('nor sent', !/Authorization/.test(page.log()));
    },
};

for (given of JSON.parse(list)) {
    try {
        await scenarios[given.scenario]();
        check('it went to its end', true);
    } catch (error) {
        check('it went to its end', false, String(error.stack));
    }
}
process.exit(0);
