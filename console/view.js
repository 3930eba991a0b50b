'use strict';

// How data is shown.  Whatever comes from outside becomes the text of a node,
// or the value of a field: there is no way here that makes markup of it, and
// only link() makes an address of it.

const view = (() => {
    const $ = (id) => document.getElementById(id);

    // Children are nodes, or what becomes text.
    function el(tag, className, ...children) {
        const node = document.createElement(tag);
        node.className = className;
        node.append(...children);
        return node;
    }

    function code(value) {
        const node = el('pre', '', JSON.stringify(value, null, 2));
        node.tabIndex = 0;      // it may have to be scrolled
        return node;
    }

    // To http and https alone; else the words without a link.
    function link(address, words) {
        const node = el('a', '', words);
        try {
            const url = new URL(address);
            if (url.protocol === 'http:' || url.protocol === 'https:') {
                node.href = url.href;
                node.rel = 'noopener noreferrer';
                node.target = '_blank';
            }
        } catch {
            // it is no address
        }
        return node;
    }

    // ---- messages and runs ----

    function block(b) {
        switch (b.type) {
        case 'text':
            return el('div', 'text', b.text);
        case 'tool_use':
            return el('div', 'call', el('p', '', 'calls ',
                el('strong', '', b.name), ' ', el('small', '', b.tool_use_id)),
                code(b.arguments));
        case 'tool_result':
            return el('div', b.is_error ? 'call failed' : 'call',
                el('p', '', b.is_error ? 'error of ' : 'result of ',
                   el('small', '', b.tool_use_id)), ...b.content.map(block));
        default:
            return code(b);
        }
    }

    const roles = ['user', 'assistant', 'tool'];

    function turn(role, heading, blocks) {
        return el('article', roles.includes(role) ? `turn ${role}` : 'turn',
                  el('p', 'dim', heading), ...blocks.map(block));
    }

    function message(m) {
        return turn(m.role, `${m.sequence_no} · ${m.role} · ${m.created_at}`,
                    m.content_blocks);
    }

    const ended = (run) => !['pending', 'running'].includes(run.status);

    function run(r) {
        const { prompt_tokens: prompt, completion_tokens: said } = r.usage;
        const item = el('li', '', el('details', '', el('summary', '',
            el('strong', '', r.status), ` · ${r.created_at} · iterations: `
            + `${r.iterations_used} · tokens: ${prompt} + ${said}`), code(r)));
        if (r.error) {
            item.append(el('div', 'failed', el('p', '',
                el('strong', '', r.error.title), ` (${r.error.type}) `,
                link(r.error.docs_url, 'What to do')),
                el('div', 'text', r.error.message)));
        }
        return item;
    }

    // A run as it goes: turns by their index, in the order in which they come;
    // what the model says is added to the end of a text, piece by piece.
    function live(place, { payload }) {
        const turns = new Map();

        function put(index, node) {
            const old = turns.get(index);
            if (old) {
                old.node.replaceWith(node);
            } else {
                place.append(node);
            }
            turns.set(index, { node, pieces: new Map() });
            return turns.get(index);
        }

        put('payload', turn('user', 'what was sent', [payload.outputs
            || { type: 'text', text: payload.text }]));

        return {
            turn(t) {
                put(t.turn_index, turn(t.role, t.role, t.content_blocks));
            },
            delta(d) {
                const now = turns.get(d.turn_index) || put(d.turn_index,
                    turn('assistant', 'assistant, speaking', []));
                const key = d.type === 'text' ? 'text' : d.tool_use_id;
                if (!now.pieces.has(key)) {
                    now.pieces.set(key, document.createTextNode(''));
                    now.node.append(...key === 'text' ? []
                        : [el('small', '', `arguments of ${key}`)],
                        el('div', 'text', now.pieces.get(key)));
                }
                now.pieces.get(key).appendData(d.text);
            },
            reset({ turn_index: index }) {
                turns.get(index)?.node.remove();
                turns.delete(index);
            },
        };
    }

    // ---- refusals ----

    function clear(form) {
        form.querySelectorAll('.fault').forEach((node) => node.remove());
        form.querySelectorAll('[aria-invalid]').forEach((field) => {
            field.removeAttribute('aria-invalid');
            field.removeAttribute('aria-describedby');
        });
    }

    // The field of a pointer: its own, or that of the nearest value around it.
    function fieldOf(form, pointer) {
        const fields = [...form.querySelectorAll('[data-pointer]')];
        let field;
        let at = pointer;
        while (at && !field) {
            field = fields.find((f) => f.dataset.pointer === at);
            at = at.slice(0, Math.max(at.lastIndexOf('/'), 0));
        }
        return field;
    }

    // Puts {pointer, detail} at its field; false where the form has none.
    function fault(form, { pointer, detail }, n) {
        const field = fieldOf(form, pointer);
        if (!field) {
            return false;
        }
        const rest = pointer.slice(field.dataset.pointer.length);
        const node = el('p', 'fault', rest ? `${rest} ${detail}` : detail);
        node.id = `fault-${n}`;
        field.setAttribute('aria-invalid', 'true');
        field.setAttribute('aria-describedby', node.id);
        if (field.tagName === 'FIELDSET') {
            field.append(node);
        } else {
            field.after(node);
        }
        return true;
    }

    // An error of any kind, above; what is wrong with a form's fields there.
    function problem(error, form) {
        const box = $('problem');
        box.replaceChildren();
        if (!(error instanceof api.Refusal)) {
            box.append(...error ? [`It failed: ${error.message}`] : []);
            return;
        }
        const { type, detail, errors, log_id: log } = error.problem;
        const lost = (Array.isArray(errors) ? errors : [])
            .filter((one, n) => !form || !fault(form, one, n));
        box.append(el('p', '', el('strong', '', error.message), ' ',
                      type ? link(type, 'What to do') : ''),
                   el('div', 'text', detail || ''),
                   el('ul', '', ...lost.map((one) => el('li', '',
                      el('code', '', one.pointer), ` ${one.detail}`))),
                   el('p', 'dim', log ? `log_id: ${log}` : ''));
        form?.querySelector(':is(input, select, textarea)[aria-invalid]')
            ?.focus();
    }

    // ---- choices, and what was asked ----

    function options(select, values) {
        const old = select.value;
        select.replaceChildren(...values.map((v) => el('option', '', v)));
        if (values.includes(old)) {
            select.value = old;
        }
    }

    function request(entry) {
        if (!entry.node) {
            const command = el('pre', 'curl', entry.curl);
            command.tabIndex = 0;
            entry.head = el('summary', '');
            entry.node = el('li', '', el('details', '', entry.head, command));
            $('requests').prepend(entry.node);
            $('requests').children[20]?.remove();
        }
        entry.head.textContent = `${entry.method} ${entry.path}`
                                 + ` · ${entry.status || '…'}`;
    }

    return { $, clear, code, el, ended, live, message, options, problem,
             request, run };
})();
