'use strict';

// What the page does.  Where one is stands in the address: #new, or #c/ and
// the id of a conversation.

(() => {
    const { $ } = view;

    let page = 1;           // of the list
    let models = [];
    let here = null;        // the conversation that is shown
    let leave = new AbortController();      // ends what is asked for it

    function fail(error, form) {
        view.problem(error, form);
        if (error.status === 401) {
            $('token').focus();
        }
    }

    // An action of the user's; what goes wrong with it is shown, unless the
    // user has gone elsewhere.
    async function act(action, form) {
        const { signal } = leave;
        view.problem(null);
        try {
            await action(signal);
        } catch (error) {
            if (!signal.aborted) {
                fail(error, form);
            }
        }
    }

    function onClick(id, action) {
        $(id).addEventListener('click', () => act(action));
    }

    // A form is not sent twice at a time.
    function onSubmit(id, action) {
        const form = $(id);
        form.addEventListener('submit', async (event) => {
            event.preventDefault();
            if (form.dataset.busy) {
                return;
            }
            form.dataset.busy = 'yes';
            view.clear(form);
            await act(action, form);
            delete form.dataset.busy;
        });
    }

    const pause = (ms) => new Promise((done) => setTimeout(done, ms));

    // ---- the list ----

    async function list(signal) {
        const answer = await api.json('GET',
            `/conversations?page=${page}&per_page=25`, undefined, signal);
        $('list').replaceChildren(...answer.records.map((c) => {
            const link = view.el('a', '', c.name || 'without a name');
            link.href = `#c/${c.id}`;
            link.setAttribute('aria-current', here?.id === c.id);
            return view.el('li', '', link, view.el('small', '',
                `version ${c.version} · ${c.updated_at}`));
        }));
        $('page').textContent = `page ${page} of ${answer.total_pages || 1}`;
        $('newer').disabled = answer.prev_page === null;
        $('older').disabled = answer.next_page === null;
    }

    // ---- a new conversation ----

    function choose() {
        const model = models.find((m) => m.id === $('new-model').value);
        const planes = model ? model.data_planes : [];
        view.options($('new-plane'), planes.map((p) => p.id));
        const plane = planes.find((p) => p.id === $('new-plane').value);
        view.options($('new-cluster'), plane ? plane.clusters : []);
        $('new-tokens').placeholder = model ? `2048, up to ${model.max_tokens}`
                                            : '2048';
    }

    function addServer() {
        const row = $('server').content.firstElementChild.cloneNode(true);
        for (const input of row.querySelectorAll('input')) {
            input.id = `server-${api.uuid()}`;
            input.previousElementSibling.htmlFor = input.id;
        }
        row.querySelector('button').onclick = () => row.remove();
        $('servers').append(row);
        row.querySelector('input').focus();
    }

    // Rows in which nothing was written go, the others get their pointers.
    function numberServers() {
        let n = 0;
        for (const row of [...$('servers').children]) {
            const inputs = [...row.querySelectorAll('input')];
            if (inputs.every((input) => input.value === '')) {
                row.remove();
                continue;
            }
            inputs.forEach((input) => {
                input.dataset.pointer = `/defaults/mcp_servers/${n}/`
                                        + input.dataset.member;
            });
            n++;
        }
    }

    // What is no number goes as it stands: the server says what is wrong.
    function valueOf(field) {
        const value = field.value;
        if (field.dataset.as === 'number') {
            return value.trim() === '' || isNaN(value) ? value : Number(value);
        }
        if (field.dataset.as !== 'json') {
            return value;
        }
        try {
            return api.parse(value);
        } catch (error) {
            throw new api.Refusal('Not sent:', { title: 'this is not JSON',
                errors: [{ pointer: field.dataset.pointer,
                           detail: error.message }] });
        }
    }

    // The body that a form's fields make, each at its pointer; what is empty
    // is left out.
    function bodyOf(form) {
        const body = {};
        for (const field of form.querySelectorAll('[data-pointer]')) {
            const path = field.dataset.pointer.split('/').slice(1);
            if (field.value) {
                path.reduce((at, key, n) => {
                    const next = path[n + 1];
                    at[key] ??= next === undefined ? valueOf(field)
                                : /^\d+$/.test(next) ? [] : {};
                    return at[key];
                }, body);
            }
        }
        return body;
    }

    async function create(signal) {
        numberServers();
        const made = await api.json('POST', '/conversations',
                                    bodyOf($('new')), signal);
        location.hash = `#c/${made.id}`;
    }

    // ---- a conversation ----

    // here: its id, the last message that is shown, calls without a result, how
    // many pages of runs; the run under way, and whether it is followed.
    async function open(id, signal) {
        here = { id, last: 0, calls: new Map(), pages: 1 };
        await refresh(signal);
        $('conversation').hidden = false;
        $('conversation-title').focus();
    }

    // Runs come first: one that ends meanwhile is seen to have ended.
    async function refresh(signal) {
        await runs(signal);
        await messages(signal);
        await facts(signal);
        forms();
        if (here.active && !here.followed) {
            here.followed = true;
            follow(here.active, signal).catch((error) => {
                if (!signal.aborted) {
                    here.followed = false;
                    fail(error);
                }
            });
        }
        await list(signal);
    }

    const path = (rest) => `/conversations/${here.id}${rest}`;

    async function facts(signal) {
        const c = await api.json('GET', path(''), undefined, signal);
        here.name = c.name;
        title(c.name);
        $('name').value = c.name || '';
        $('conversation-facts').textContent =
            `${c.id} · version ${c.version} · ${c.created_at}`;
        $('configuration').textContent = JSON.stringify(
            { system_prompt: c.system_prompt, defaults: c.defaults }, null, 2);
    }

    function title(name) {
        $('conversation-title').textContent = name || 'without a name';
        document.title = `${name || 'without a name'} · Agents console`;
    }

    async function messages(signal) {
        let answer;
        do {
            answer = await api.json('GET', path(
                `/messages?since=${here.last}&limit=200`), undefined, signal);
            for (const m of answer.messages) {
                here.last = m.sequence_no;
                $('messages').append(view.message(m));
                for (const b of m.content_blocks) {
                    if (b.type === 'tool_use') {
                        here.calls.set(b.tool_use_id, b);
                    } else if (b.type === 'tool_result') {
                        here.calls.delete(b.tool_use_id);
                    }
                }
            }
        } while (answer.has_more);
    }

    async function runs(signal) {
        const answer = await api.json('GET', path(
            `/runs?per_page=${10 * here.pages}`), undefined, signal);
        $('runs').replaceChildren(...answer.records.map(view.run));
        $('more-runs').hidden = answer.next_page === null || here.pages === 100;
        here.active = answer.records.find((r) => !view.ended(r));
    }

    // What can be sent: nothing while a run is under way, outputs where calls
    // wait for them, else a message.  Who was in a form is not left nowhere.
    function forms() {
        const idle = !here.active;
        $('live').hidden = idle;
        $('send').hidden = !idle || here.calls.size > 0;
        $('outputs').hidden = !idle || here.calls.size === 0;
        if ($('outputs').hidden) {
            $('calls').replaceChildren();
        } else if (!$('calls').hasChildNodes()) {
            $('calls').append(...[...here.calls.values()].map(call));
        }
        const at = document.activeElement || document.body;
        if (at === document.body || at.closest('[hidden]')) {
            const calls = $('calls').querySelector('textarea');
            (idle ? calls || $('text') : $('cancel')).focus();
        }
    }

    function call(b, n) {
        const node = $('call').content.firstElementChild.cloneNode(true);
        const area = node.querySelector('textarea');
        node.querySelector('legend').textContent = b.name;
        node.querySelector('pre').replaceWith(view.code(b.arguments));
        area.id = `output-${n}`;
        area.previousElementSibling.htmlFor = area.id;
        area.dataset.pointer = `/payload/outputs/${n}`;
        area.dataset.call = b.tool_use_id;
        return node;
    }

    const outputs = () => [...$('calls').children].map((node) => {
        const area = node.querySelector('textarea');
        return { tool_use_id: area.dataset.call, content: area.value,
                 is_error: node.querySelector('input').checked };
    });

    // ---- runs ----

    // What got no answer is sent again under the same id: so it makes one run,
    // whether or not it had come through.
    async function start(payload, signal) {
        const text = JSON.stringify(payload);
        if (here.sent?.text !== text) {
            here.sent = { text, id: api.uuid() };
        }
        try {
            await api.json('POST', path('/runs'), { payload,
                client_op_id: here.sent.id, expected_version: here.last },
                signal);
        } catch (error) {
            if (error.status === 409) {     // something else has happened
                await refresh(signal);
            }
            throw error;
        }
        here.sent = null;
        $('text').value = '';
        await refresh(signal);
    }

    // To its end, by its events; where a stream ends early, by asking.
    async function follow(run, signal) {
        const state = { run, last: '' };
        $('live-turns').replaceChildren();
        $('cancel').disabled = false;
        state.live = view.live($('live-turns'), run);
        status(state, run);
        while (!view.ended(state.run)) {
            await tried(() => stream(state, signal), signal);
            if (!view.ended(state.run)
                && !await tried(() => poll(state, signal), signal))
            {
                $('live-status').textContent = 'no answer, asking again';
                await pause(1000);
            }
        }
        await settle(signal);
    }

    // Whether it came through; what another try would not mend is thrown.
    async function tried(action, signal) {
        try {
            await action();
            return true;
        } catch (error) {
            if (signal.aborted || error.status < 500) {
                throw error;
            }
            return false;
        }
    }

    // It is the newest of the runs that are listed.
    function status(state, run) {
        state.run = run;
        $('live-status').textContent = run.status;
        $('runs').firstElementChild?.replaceWith(view.run(run));
    }

    async function stream(state, signal) {
        for await (const e of api.events(state.run.id, state.last, signal)) {
            state.last = e.id || state.last;
            if (e.event === 'run') {
                status(state, e.data);
            } else if (e.event === 'name') {
                title(e.data.current_name);
            } else if (['turn', 'delta', 'reset'].includes(e.event)) {
                state.live[e.event](e.data);
            }
        }
    }

    async function poll(state, signal) {
        const now = await api.changed(state.run.id, state.tag, signal);
        if (now !== null) {
            state.tag = now.tag;
            status(state, now.run);
            now.run.live.messages.forEach(state.live.turn);
        }
    }

    // The messages take the place of the live view.
    async function settle(signal) {
        here.followed = false;
        await refresh(signal);
        if (here.name === null) {       // a title comes a moment later
            await pause(2000);
            await facts(signal);
            await list(signal);
        }
    }

    // ---- the page ----

    function visit() {
        const [, id] = location.hash.match(/^#c\/([0-9a-f-]{36})$/) || [];
        const making = location.hash === '#new';
        leave.abort();
        leave = new AbortController();
        here = null;
        document.title = 'Agents console';
        for (const name of ['messages', 'runs', 'calls', 'live-turns']) {
            $(name).replaceChildren();
        }
        $('conversation').hidden = true;
        $('new').hidden = !making;
        $('hint').hidden = making || id !== undefined;
        act(async (signal) => {
            if (id !== undefined) {
                return open(id, signal);
            }
            await list(signal);
            if (making) {
                $('new').querySelector('h2').focus();
                models = (await api.json('GET', '/models')).models;
                view.options($('new-model'), models.map((m) => m.id));
                choose();
            }
        });
    }

    // Another caller: nothing of the one before stays.
    function use(token) {
        api.setToken(token);
        page = 1;
        $('token').value = '';
        $('list').replaceChildren();
        $('requests').replaceChildren();
        visit();
    }

    onSubmit('access', () => use($('token').value.trim()));
    onClick('forget', () => use(''));
    onClick('reload', visit);
    onClick('newer', (signal) => { page--; return list(signal); });
    onClick('older', (signal) => { page++; return list(signal); });
    onSubmit('new', create);
    onClick('add-server', addServer);
    onSubmit('rename', async (signal) => {
        await api.json('PATCH', path(''), { name: $('name').value }, signal);
        await facts(signal);
        await list(signal);
    });
    onClick('delete', async (signal) => {
        if (confirm('Delete this conversation, its messages and runs?')) {
            await api.json('DELETE', path(''), undefined, signal);
            location.hash = '';
        }
    });
    onSubmit('send', (signal) => start({ kind: 'user_message',
                                         text: $('text').value }, signal));
    onSubmit('outputs', (signal) => start({ kind: 'tool_outputs',
                                            outputs: outputs() }, signal));
    onClick('cancel', async (signal) => {
        $('cancel').disabled = true;
        await api.json('POST', `/runs/${here.active.id}/cancel`, undefined,
                       signal);
    });
    onClick('more-runs', (signal) => { here.pages++; return runs(signal); });
    $('new-model').onchange = choose;
    $('new-plane').onchange = choose;
    $('text').addEventListener('keydown', (event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            $('send').requestSubmit();
        }
    });

    $('api').textContent = api.base;
    api.onRequest = view.request;
    window.addEventListener('hashchange', visit);
    visit();
})();
