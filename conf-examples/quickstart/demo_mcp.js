// For demonstration: an MCP server over streamable HTTP with two tools, in
// nginx's njs.  It answers in JSON and keeps no session.

const PAGES = [
    ['Where a run keeps its state',
     'A run keeps its state in the store, an SQLite file or PostgreSQL. Each '
     + 'turn is written there as it happens, so that a run goes on where it '
     + 'stood when a worker dies or nginx is reloaded.'],
    ['What a conversation is',
     'A conversation is the long-lived container of messages. It carries a '
     + 'system prompt, defaults for its runs, and a version that moves with '
     + 'each run that is committed.'],
    ['How a run ends',
     'A run ends as completed, requires_action or failed. Poll GET '
     + '/agents/runs/{id} until it does.'],
    ['Tools that the caller answers',
     'A tool that is declared in defaults.tools pauses the run with '
     + 'requires_action. Start another run with tool_outputs as its payload '
     + 'to resume it.'],
    ['MCP servers',
     'The servers in defaults.mcp_servers are asked for their tools at the '
     + 'start of each run. nginx calls them through a location with the '
     + 'operator\'s own proxy settings.'],
    ['Which hosts a run may reach',
     'Public addresses may be reached, private ones may not, unless '
     + 'agents_mcp_allow says so. The address that is checked is the address '
     + 'that is connected to.'],
    ['Rate limits',
     'agents_max_runs_per_user bounds the runs that one user has in flight, '
     + 'and max_inferences those that a cluster makes at a time. Beyond the '
     + 'first a POST is answered with 429 and Retry-After, beyond the second '
     + 'inferences wait in line, fairly.'],
    ['Structured output',
     'With output_format_schema the answer is JSON that matches the schema. '
     + 'It is checked by nginx before the run is completed, and stands in '
     + 'final_structured_output.']
];

const TOOLS = [
    { name: 'search_docs',
      description: 'Search the documentation of the agents module. Returns '
                   + 'the paragraphs that match the query best.',
      inputSchema: {
          type: 'object', required: ['query'],
          properties: { query: { type: 'string',
                                 description: 'What to look for.' } } },
      annotations: { readOnlyHint: true } },
    { name: 'add',
      description: 'Add two numbers and return their sum.',
      inputSchema: {
          type: 'object', required: ['a', 'b'],
          properties: { a: { type: 'number' }, b: { type: 'number' } } },
      annotations: { readOnlyHint: true } }
];


function words(text) {
    return (text.toLowerCase().match(/[a-z0-9_]{3,}/g) || [])
           .map((w) => w.replace(/(ing|s)$/, ''));
}


function search(query) {
    const wanted = words(query);

    const found = PAGES.map((page) => {
        const title = words(page[0]);
        const text = words(page[1]);
        let score = 0;

        wanted.forEach((w) => {
            score += (title.includes(w) ? 3 : 0) + (text.includes(w) ? 1 : 0);
        });

        return { score: score, text: page[0] + ': ' + page[1] };
    }).filter((page) => page.score > 0);

    found.sort((a, b) => b.score - a.score);

    return found.length ? found.slice(0, 2).map((p) => p.text).join('\n\n')
                        : 'Nothing was found for "' + query + '".';
}


function call(name, args) {
    if (name === 'search_docs' && typeof args.query === 'string') {
        return search(args.query);
    }

    if (name === 'add' && typeof args.a === 'number'
        && typeof args.b === 'number')
    {
        return String(args.a + args.b);
    }

    return null;
}


function answer(message) {
    const params = message.params || {};
    let text;

    switch (message.method) {

    case 'initialize':
        return { result: {
            protocolVersion: params.protocolVersion || '2025-06-18',
            capabilities: { tools: {} },
            serverInfo: { name: 'demonstration', version: '1.0' } } };

    case 'tools/list':
        return { result: { tools: TOOLS } };

    case 'tools/call':
        text = call(params.name, params.arguments || {});

        return { result: {
            content: [{ type: 'text', text: text === null
                ? 'There is no such tool, or its arguments are wrong.'
                : text }],
            isError: text === null } };

    case 'ping':
        return { result: {} };
    }

    return { error: { code: -32601, message: 'Method not found' } };
}


function serve(r) {
    let message;

    if (r.method !== 'POST') {
        r.headersOut.Allow = 'POST';
        r.return(405);
        return;
    }

    r.headersOut['Content-Type'] = 'application/json';

    try {
        message = JSON.parse(r.requestText);

    } catch (e) {
        r.return(400, JSON.stringify({ jsonrpc: '2.0', id: null,
            error: { code: -32700, message: 'Parse error' } }));
        return;
    }

    if (message.id === undefined) {
        r.return(202);
        return;
    }

    const reply = answer(message);
    reply.jsonrpc = '2.0';
    reply.id = message.id;

    // a pause that an eye can follow
    setTimeout(() => r.return(200, JSON.stringify(reply)),
               message.method === 'tools/call' ? 250 : 0);
}


export default { serve };
