// Follows a run with npm's eventsource, which goes on by itself where a stream
// ends, and prints its events, a line of JSON each:
//
//     node events.js MODULES URL TOKEN

import { pathToFileURL } from 'node:url';

const [modules, url, token] = process.argv.slice(2);
const { EventSource } = await import(
    pathToFileURL(`${modules}/eventsource/dist/index.js`));

// its timer alone does not keep the process
const stay = setInterval(() => {}, 1000);
let opened = 0;
const source = new EventSource(url, {
    fetch: (input, init) => fetch(input, { ...init, headers: {
        ...init.headers, Authorization: `Bearer ${token}` } }),
});

function print(value) {
    process.stdout.write(`${JSON.stringify(value)}\n`);
}

source.onopen = () => print({ event: 'open', n: ++opened });
source.onerror = (e) => {
    if (source.readyState === EventSource.CLOSED) {
        print({ event: 'error', code: e.code });
        process.exit(1);
    }
};

for (const event of ['run', 'turn', 'delta', 'reset', 'name', 'end']) {
    source.addEventListener(event, (e) => {
        print({ event, id: e.lastEventId, data: e.data,
                json: JSON.parse(e.data) });
        if (event === 'end') {
            source.close();
            clearInterval(stay);
        }
    });
}
