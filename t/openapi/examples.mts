// The four conversations of the API's reference, by a client whose types are
// made from docs/openapi.json: that it compiles is half of the test.  Prints
// what came of them as JSON.
//
//     API=http://127.0.0.1:8080 TOKEN=... MCP=http://... node examples.mjs

import createClient from 'openapi-fetch';
import type { components, paths } from './api.mjs';

declare const process: { env: Record<string, string> };

type Schemas = components['schemas'];
type Run = Schemas['Run'];

const api = createClient<paths>({
    baseUrl: process.env.API,
    headers: { Authorization: `Bearer ${process.env.TOKEN}` },
});

const defaults = {
    model: 'anthropic.claude-opus-4.6',
    data_plane_id: 'f79cbdae-4848-47ca-95e8-69588364d185',
    execution_cluster: 'shared',
} satisfies Schemas['Defaults'];


async function create(body: Schemas['CreateConversation']) {
    const { data, error, response } = await api.POST('/agents/conversations',
                                                     { body });
    if (error) {
        throw new Error(`${error.status} ${error.detail}`);
    }
    if (!response.headers.get('location')?.endsWith(data.id)) {
        throw new Error('no Location');
    }
    return data;
}


async function finished(id: string) {
    for (;;) {
        const { data } = await api.GET('/agents/runs/{id}',
                                       { params: { path: { id } } });
        if (!data) {
            throw new Error(`run ${id} is gone`);
        }
        if (data.status !== 'pending' && data.status !== 'running') {
            return data;
        }
        await new Promise((next) => setTimeout(next, 20));
    }
}


async function run(id: string, version: number, payload: Schemas['Payload'],
                   tool_choice?: Schemas['ToolChoice'])
{
    const { data, error } = await api.POST('/agents/conversations/{id}/runs', {
        params: { path: { id } },
        body: { client_op_id: crypto.randomUUID(), expected_version: version,
                payload, tool_choice },
    });
    if (error) {
        throw new Error(`${error.status} ${error.detail}`);
    }
    return finished(data.id);
}


function outcome(run: Run): string {
    return run.error?.type
        ?? (run.pending_tool_calls.map((call) => call.name).join()
            || run.final_text
            || JSON.stringify(run.final_structured_output));
}


function say(text: string): Schemas['Payload'] {
    return { kind: 'user_message', text };
}


async function hello() {
    const { id, version } = await create({ name: 'hello world', defaults });
    const done = await run(id, version, say('What is 2 + 2?'));
    const { data } = await api.GET('/agents/conversations/{id}/messages', {
        params: { path: { id }, query: { since: 0, limit: 10 } },
    });
    return { answer: outcome(done), tokens: done.usage.total_tokens,
             roles: data?.messages.map((message) => message.role) };
}


async function search() {
    const { id } = await create({
        system_prompt: 'Look it up.',
        defaults: { ...defaults, max_iterations: 8, mcp_servers: [
            { alias: 'docs', url: process.env.MCP } ] },
    });
    const done = await run(id, 0, say('Search the docs'), { kind: 'auto' });
    const { data } = await api.GET('/agents/conversations/{id}/messages',
                                   { params: { path: { id } } });
    const blocks = data?.messages.flatMap((m) => m.content_blocks) ?? [];
    const calls = blocks.flatMap((block) =>
        block.type === 'tool_use' ? [ block.name ] : []);
    const results = blocks.flatMap((block) =>
        block.type === 'tool_result' ? block.content.map((b) => b.text) : []);
    return { answer: outcome(done), iterations: done.iterations_used, calls,
             results };
}


async function booking() {
    const { id } = await create({ defaults: { ...defaults, tools: [ {
        name: 'confirm_booking',
        input_schema: { type: 'object', required: [ 'slot' ],
                        properties: { slot: { type: 'string' } } },
    } ] } });
    const paused = await run(id, 0, say('Find me a meeting time'),
        { kind: 'specific_tool', name: 'confirm_booking' });
    const { data } = await api.GET('/agents/conversations/{id}',
                                   { params: { path: { id } } });
    const done = await run(id, data?.version ?? -1, {
        kind: 'tool_outputs',
        outputs: paused.pending_tool_calls.map((call) => ({
            tool_use_id: call.tool_use_id,
            content: `${call.arguments.slot} suits`,
            is_error: false,
        })),
    });
    return { asked: outcome(paused), answer: outcome(done) };
}


async function events() {
    const event = (type: string, ...more: string[]) => ({
        type: 'object' as const, additionalProperties: false as const,
        required: [ 'type', 'user_id', ...more ],
        properties: { type: { const: type }, user_id: { type: 'string' as const },
            ...Object.fromEntries(more.map((name) =>
                [ name, { type: 'integer' as const } ])) },
    });
    const { id } = await create({ name: 'event logger', defaults: {
        ...defaults, temperature: 0, output_format_schema: {
            type: 'object', required: [ 'event' ],
            additionalProperties: false,
            properties: { event: { anyOf: [ event('login', 'seconds'),
                                            event('logout') ] } },
        } } });
    const done = await run(id, 0, say('User u-123 logged in'));
    return { answer: outcome(done) };
}


async function refusals() {
    const wrong = await api.POST('/agents/conversations',
        { body: { defaults: { ...defaults, max_iterations: 101 } } });
    const { id } = await create({ defaults });
    const late = await api.POST('/agents/conversations/{id}/runs', {
        params: { path: { id } },
        body: { client_op_id: crypto.randomUUID(), expected_version: 7,
                payload: say('late') },
    });
    return { status: wrong.error?.status,
             pointers: wrong.error?.errors?.map((fault) => fault.pointer),
             conflict: late.error?.current_version };
}


// What the document forbids does not compile.
export const forbidden: Schemas['CreateConversation'][] = [
    // @ts-expect-error a field that is not known
    { defaults, title: 'x' },
    // @ts-expect-error the model is missing
    { defaults: { data_plane_id: 'x', execution_cluster: 'shared' } },
    // @ts-expect-error a number
    { defaults: { ...defaults, max_tokens: '100' } },
];

// @ts-expect-error there may be no error
export const early = (run: Run) => run.error.type;

// @ts-expect-error there is no such path
export const nowhere = () => api.GET('/agents/runs');


console.log(JSON.stringify({ hello: await hello(), search: await search(),
    booking: await booking(), events: await events(),
    refusals: await refusals() }));
