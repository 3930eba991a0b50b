'use strict';

// Signs requests as two libraries of others do it, for tests of signatures
// that were seen: the packages' folder is the argument, what is asked comes as
// JSON on standard input, the answer goes to standard output.
//
//     [{ method, path, host, type, date, body, region, service,
//        key: { id, secret, token } }]      path as sent, date as in X-Amz-Date
//         -> [{ aws4: Authorization, smithy: Authorization }]

const path = require('path');
const packages = path.resolve(process.argv[2]);
const load = (name) => require(require.resolve(name, { paths: [packages] }));

const aws4 = load('aws4');
const { SignatureV4 } = load('@smithy/signature-v4');
const { Sha256 } = load('@aws-crypto/sha256-js');

function byAws4(asked) {
    const request = {
        service: asked.service, region: asked.region, method: asked.method,
        host: asked.host, path: asked.path, body: asked.body,
        headers: { Host: asked.host, 'Content-Type': asked.type,
                   'X-Amz-Date': asked.date },
        extraHeadersToIgnore: { 'content-length': true },
    };
    const key = { accessKeyId: asked.key.id, secretAccessKey: asked.key.secret,
                  sessionToken: asked.key.token };
    return aws4.sign(request, key).headers.Authorization;
}

async function bySmithy(asked) {
    const signer = new SignatureV4({
        service: asked.service, region: asked.region, sha256: Sha256,
        applyChecksum: false,
        credentials: { accessKeyId: asked.key.id,
                       secretAccessKey: asked.key.secret,
                       sessionToken: asked.key.token },
    });
    const [, year, month, day, hour, minute, second] = asked.date.match(
        /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/);
    const signed = await signer.sign({
        method: asked.method, protocol: 'https:', hostname: asked.host,
        path: asked.path, query: {}, body: asked.body,
        headers: { host: asked.host, 'content-type': asked.type },
    }, { signingDate: new Date(`${year}-${month}-${day}T${hour}:${minute}:`
                               + `${second}Z`) });
    return signed.headers.authorization;
}

async function main() {
    const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
    const answer = [];
    for (const one of asked) {
        answer.push({ aws4: byAws4(one), smithy: await bySmithy(one) });
    }
    process.stdout.write(JSON.stringify(answer));
}

main().catch((e) => { console.error(e); process.exit(1); });
