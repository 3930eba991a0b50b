// For demonstration: a scripted model that speaks OpenAI's chat completions,
// in nginx's njs.  It does small sums, calls the tool whose words fit the
// question, reports what tools said, and fills in JSON schemas from the text.
// It is no language model, and says so where it has nothing better to say.

const STOP = ['the', 'and', 'for', 'with', 'that', 'this', 'what', 'where',
              'how', 'does', 'are', 'you', 'your', 'their', 'its', 'two',
              'use', 'can', 'user', 'tool', 'ask', 'return', 'find', 'best'];


function words(text) {
    return (text.toLowerCase().match(/[a-z0-9]{3,}/g) || [])
           .map((w) => w.replace(/(ing|ed|s)$/, ''))
           .filter((w) => !STOP.includes(w));
}


function textOf(content) {
    if (typeof content === 'string') {
        return content;
    }

    return Array.isArray(content)
           ? content.map((part) => part.text || '').join('') : '';
}


// What was asked last, and what tools have said since.
function read(messages) {
    const seen = { text: '', results: [], system: '' };

    messages.forEach((m) => {
        if (m.role === 'user') {
            seen.text = textOf(m.content);
            seen.results = [];

        } else if (m.role === 'tool') {
            seen.results.push(textOf(m.content));

        } else if (m.role === 'system' || m.role === 'developer') {
            seen.system += textOf(m.content) + '\n';
        }
    });

    return seen;
}


function sum(text) {
    // "2-3 sentences" is no subtraction
    const m = /(-?\d+(?:\.\d+)?)(?:\s*([+*x\/])\s*|\s+(-)\s+)(-?\d+(?:\.\d+)?)/
              .exec(text);

    if (m === null) {
        return null;
    }

    const a = Number(m[1]), b = Number(m[4]);

    switch (m[2] || m[3]) {
    case '+': return a + b;
    case '-': return a - b;
    case '/': return b === 0 ? null : a / b;
    default:  return a * b;
    }
}


// ---- filling in a schema ----

function source(text) {
    return {
        text: text,
        numbers: (text.match(/(^|[\s(=:])-?\d+(\.\d+)?(?=[\s).,;!?%]|$)/g)
                  || []).map((n) => Number(n.replace(/[^-\d.]/g, '')
                                            .replace(/\.$/, ''))),
        used: 0
    };
}


// "login" is in "logged in": its beginning starts a word, its end is one.
function mentioned(value, text) {
    const low = ' ' + text.toLowerCase().replace(/[^a-z0-9]+/g, ' ') + ' ';
    const word = String(value).toLowerCase().replace(/[^a-z0-9]+/g, ' ');

    if (low.indexOf(' ' + word + ' ') >= 0) {
        return 3;
    }

    for (let i = 3; i < word.length; i++) {
        if (low.indexOf(' ' + word.slice(0, i)) >= 0
            && low.indexOf(' ' + word.slice(i) + ' ') >= 0)
        {
            return 2;
        }
    }

    return low.indexOf(' ' + word.slice(0, 4)) >= 0 ? 1 : 0;
}


function score(schema, text) {
    let n = schema.const !== undefined ? 4 * mentioned(schema.const, text) : 0;

    if (schema.title) {
        n += mentioned(schema.title, text);
    }

    Object.keys(schema.properties || {}).forEach((name) => {
        n += score(schema.properties[name], text);
    });

    return n;
}


function best(list, rate) {
    let top = list[0];

    list.forEach((one) => {
        if (rate(one) > rate(top)) {
            top = one;
        }
    });

    return top;
}


function number(schema, from, whole) {
    let n = from.used < from.numbers.length ? from.numbers[from.used++]
            : (schema.minimum !== undefined ? schema.minimum : 0);

    if (whole) {
        n = Math.round(n);
    }

    if (schema.minimum !== undefined && n < schema.minimum) {
        n = schema.minimum;
    }

    return schema.maximum !== undefined && n > schema.maximum
           ? schema.maximum : n;
}


function phrase(text) {
    const m = /\b(?:for|about|regarding|on)\s+(.+?)(?:\s+and\s+\w+|[.?!,;]|$)/i;
    let rest = text.replace(/^.*?:\s+/, '');
    let found = m.exec(rest);

    // "for information about rate limiting" is about rate limiting
    while (found !== null) {
        rest = found[1];
        found = m.exec(rest);
    }

    return rest.replace(/[.?!\s]+$/, '');
}


function string(schema, name, from) {
    const id = /\b[A-Za-z]+[-_]?\d[\w-]*\b/.exec(from.text);
    const mail = /[\w.+-]+@[\w.-]+\w/.exec(from.text);
    const quoted = /"([^"]+)"/.exec(from.text);
    let text;

    if (/mail/i.test(name) && mail !== null) {
        text = mail[0];

    } else if (/(^|_)(id|key|code|user|number)s?$/i.test(name) && id !== null) {
        text = id[0];

    } else if (quoted !== null) {
        text = quoted[1];

    } else {
        text = phrase(from.text);
    }

    if (schema.maxLength !== undefined) {
        text = text.slice(0, schema.maxLength);
    }

    while (schema.minLength !== undefined && text.length < schema.minLength) {
        text += '.';
    }

    return text;
}


function fill(schema, name, from) {
    let type = schema.type;

    if (schema.const !== undefined) {
        return schema.const;
    }

    if (schema.enum) {
        return best(schema.enum, (one) => mentioned(one, from.text));
    }

    if (schema.anyOf) {
        return fill(best(schema.anyOf, (one) => score(one, from.text)), name,
                    from);
    }

    if (Array.isArray(type)) {
        type = type.filter((one) => one !== 'null')[0] || 'null';
    }

    switch (type || (schema.properties ? 'object' : 'string')) {

    case 'object':
        const object = {};
        Object.keys(schema.properties || {}).forEach((key) => {
            object[key] = fill(schema.properties[key], key, from);
        });
        return object;

    case 'array':
        const list = [];
        const n = Math.max(schema.minItems || 0,
                           schema.maxItems === 0 ? 0 : 1);
        while (list.length < n) {
            list.push(fill(schema.items || { type: 'string' }, name, from));
        }
        return list;

    case 'integer': return number(schema, from, true);
    case 'number':  return number(schema, from, false);
    case 'boolean': return !/\b(no|not|never|false)\b/i.test(from.text);
    case 'null':    return null;
    }

    return string(schema, name, from);
}


// ---- what to say ----

function choose(tools, text) {
    const asked = words(text);
    const sums = sum(text) !== null;

    const rate = (tool) => {
        const f = tool.function;
        let n = 0;

        words(f.name.replace(/_/g, ' ').replace(/-/g, ' ') + ' '
              + (f.description || '')).forEach((w) => {
            n += asked.includes(w) ? 1 : 0;
        });

        return n + (sums && /(^|[-_])(add|sum|calc)/.test(f.name) ? 5 : 0);
    };

    const top = best(tools, rate);

    return rate(top) > 0 ? top : null;
}


function call(tool, text) {
    return { tool_calls: [{
        id: 'call_' + Math.random().toString(36).slice(2, 12),
        type: 'function',
        function: {
            name: tool.function.name,
            arguments: JSON.stringify(
                fill(tool.function.parameters || { type: 'object' }, '',
                     source(text))) } }] };
}


function forced(choice, tools, text) {
    if (choice && choice.function) {
        return tools.filter((t) => t.function.name === choice.function.name)[0];
    }

    return choice === 'required' ? choose(tools, text) || tools[0] : null;
}


/* The message that a title is asked for stands in a pair of tags. */

function title(text) {
    const message = /<message>([\s\S]*)<\/message>/.exec(text);
    const short = (message ? message[1] : text)
                  .replace(/[^\w\s+'-]/g, ' ').trim().split(/\s+/)
                  .slice(0, 6).join(' ');

    return short.charAt(0).toUpperCase() + short.slice(1);
}


function reply(body) {
    const seen = read(body.messages);
    const tools = body.tools || [];
    const format = body.response_format && body.response_format.json_schema;
    let tool;

    if (tools.length === 0 && !format && /\btitle\b/i.test(seen.system)) {
        return { content: title(seen.text) };
    }

    if (tools.length > 0 && body.tool_choice !== 'none') {
        tool = forced(body.tool_choice, tools, seen.text);

        if (!tool && seen.results.length === 0) {
            tool = choose(tools, seen.text);
        }

        if (tool) {
            return call(tool, seen.text);
        }
    }

    if (format) {
        return { content: JSON.stringify(
            fill(format.schema, '',
                 source([seen.text].concat(seen.results).join('\n')))) };
    }

    if (seen.results.length > 0) {
        return { content: 'Here is what I was told. '
                          + seen.results.join('\n\n') };
    }

    const total = sum(seen.text);

    return { content: total !== null ? String(total)
        : 'I am a script that stands in for a model in this demonstration. '
          + 'I can do small sums, call tools and fill in JSON schemas. You '
          + 'said: ' + seen.text };
}


function complete(r) {
    let body, message;

    r.headersOut['Content-Type'] = 'application/json';

    try {
        body = JSON.parse(r.requestText);
        message = reply(body);

    } catch (e) {
        r.return(400, JSON.stringify({ error: {
            message: 'not a request that this script understands: ' + e,
            type: 'invalid_request_error' } }));
        return;
    }

    message.role = 'assistant';

    if (message.content === undefined) {
        message.content = null;
    }

    const prompt = Math.ceil(r.requestText.length / 4);
    const words = Math.ceil(JSON.stringify(message).length / 4);

    const answer = JSON.stringify({
        id: 'chatcmpl-demo', object: 'chat.completion', model: body.model,
        created: Math.floor(Date.now() / 1000),
        choices: [{ index: 0, message: message,
                    finish_reason: message.tool_calls ? 'tool_calls'
                                                      : 'stop' }],
        usage: { prompt_tokens: prompt, completion_tokens: words,
                 total_tokens: prompt + words } });

    // a pause that an eye can follow
    setTimeout(() => r.return(200, answer), 400);
}


export default { complete };
