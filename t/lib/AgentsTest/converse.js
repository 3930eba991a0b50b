// Walks bodies of Converse along the schemas that AWS's SDK has of it, and
// prints a line for each thing that does not fit: unknown members, missing or
// null ones, wrong types, blocks of more than one kind.
//
//     node converse.js FOLDER-OF-NODE_MODULES FILE

const fs = require('fs');
const { createRequire } = require('module');

const [folder, file] = process.argv.slice(2);
const aws = createRequire(folder + '/')('@aws-sdk/client-bedrock-runtime');
const bodies = JSON.parse(fs.readFileSync(file, 'utf8'));

// Kinds of schemas, and what a simple one means.
const SIMPLE = 0, LIST = 1, MAP = 2, STRUCTURE = 3, UNION = 4;
const types = { 0: 'string', 1: 'number', 2: 'boolean', 17: 'number' };
const DOCUMENT = 15, BLOB = 21, LIST_OF = 64, MAP_OF = 128;

// A schema may be a function that gives it, and have traits beside it.
function plain(schema) {
    while (true) {
        if (typeof schema === 'function') {
            schema = schema();
        } else if (Array.isArray(schema) && schema.length === 2) {
            schema = schema[0];
        } else {
            return schema;
        }
    }
}

function* simple(schema, value, path) {
    if (schema >= LIST_OF && schema !== DOCUMENT) {
        const map = schema >= MAP_OF;
        if (typeof value !== 'object' || value === null
            || Array.isArray(value) === map)
        {
            return yield `${path}: no ${map ? 'map' : 'list'}`;
        }
        for (const [key, item] of Object.entries(value)) {
            yield* check(schema - (map ? MAP_OF : LIST_OF), item,
                         `${path}/${key}`);
        }
        return;
    }
    if (schema === DOCUMENT) {
        return;
    }
    const type = schema === BLOB ? 'string' : types[schema];
    if (type === undefined) {
        yield `${path}: a schema ${schema} that is not known here`;
    } else if (typeof value !== type) {
        yield `${path}: no ${type}`;
    }
}

function* members(schema, value, path) {
    const [kind, , name, , names, schemas, required = 0] = schema;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        return yield `${path}: no ${name}`;
    }
    const keys = Object.keys(value);
    if (kind === UNION && keys.length !== 1) {
        yield `${path}: ${keys.length} members in one ${name}`;
    }
    for (const key of names.slice(0, required)) {
        if (value[key] === undefined) {
            yield `${path}: ${name} without ${key}`;
        }
    }
    for (const key of keys) {
        const at = names.indexOf(key);
        if (at === -1) {
            yield `${path}: ${name} has no ${key}`;
        } else {
            yield* check(schemas[at], value[key], `${path}/${key}`);
        }
    }
}

function* check(schema, value, path) {
    schema = plain(schema);
    if (typeof schema === 'number') {
        return yield* simple(schema, value, path);
    }
    switch (schema[0]) {
    case SIMPLE:
        return yield* check(schema[4], value, path);
    case LIST:
        if (!Array.isArray(value)) {
            return yield `${path}: no list`;
        }
        for (const [i, item] of value.entries()) {
            yield* check(schema[4], item, `${path}/${i}`);
        }
        return;
    case MAP:
        return yield* simple(MAP_OF + DOCUMENT, value, path);
    case STRUCTURE:
    case UNION:
        return yield* members(schema, value, path);
    }
    yield `${path}: a schema of kind ${schema[0]} that is not known here`;
}

bodies.forEach((body, n) => {
    for (const line of check(aws.ConverseRequest$, { modelId: 'x', ...body },
                             ''))
    {
        console.log(`${n}: ${line}`);
    }
});
