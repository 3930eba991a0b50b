'use strict';

// Makes keys and signs tokens by node's own crypto, for AgentsTest::Jwt: what
// is asked comes as JSON on standard input, the answer goes to standard output.
//
//     { keys: { name: "rsa" | "rsa-1024" | "P-256" | ... | "oct-64" } }
//         -> { name: private JWK }
//     { sign: [{ alg, jwk, form, header, payload }] }, header and payload texts
//         -> [token]
//     { verify: [{ alg, jwk, token }] }
//         -> [{ header, payload }], null where the signature is not the key's
//
// "form" signs with an HMAC by the public key as one has it: what an attacker
// does who hopes that the key is taken for a secret.

const crypto = require('crypto');
const base64 = (data) => Buffer.from(data).toString('base64url');

function generate(kind) {
    const [type, size] = kind.split('-');
    if (type === 'oct') {
        return { kty: 'oct', k: base64(crypto.randomBytes(Number(size))) };
    }
    const pair = type === 'rsa'
        ? crypto.generateKeyPairSync('rsa',
                                     { modulusLength: Number(size || 2048) })
        : crypto.generateKeyPairSync('ec', { namedCurve: kind });
    return pair.privateKey.export({ format: 'jwk' });
}

function disguised(jwk, form) {
    const key = crypto.createPublicKey({ key: jwk, format: 'jwk' });
    if (form === 'jwk') {
        return JSON.stringify(key.export({ format: 'jwk' }));
    }
    if (form === 'n' || form === 'x') {
        return Buffer.from(jwk[form], 'base64url');
    }
    const [format, type] = form.split(' ');
    return key.export({ format, type });
}

function signature(request, text) {
    const { alg, jwk, form } = request;
    const hash = `sha${alg.slice(2)}`;
    if (alg === 'none') {
        return '';
    }
    if (alg.startsWith('HS')) {
        const secret = form ? disguised(jwk, form)
                            : Buffer.from(jwk.k, 'base64url');
        return base64(crypto.createHmac(hash, secret).update(text).digest());
    }
    const options = { key: crypto.createPrivateKey({ key: jwk,
                                                     format: 'jwk' }) };
    if (alg.startsWith('ES')) {
        options.dsaEncoding = 'ieee-p1363';
    }
    if (alg.startsWith('PS')) {
        options.padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
        options.saltLength = crypto.constants.RSA_PSS_SALTLEN_DIGEST;
    }
    return base64(crypto.sign(hash, Buffer.from(text), options));
}

function sign(request) {
    const text = `${base64(request.header)}.${base64(request.payload)}`;
    return `${text}.${signature(request, text)}`;
}

// RS256, ES256 and HS256, by the public part of the key.
function verified({ alg, jwk, token }) {
    const [header, payload, signed, ...more] = token.split('.');
    const text = `${header}.${payload}`;
    const bytes = Buffer.from(signed, 'base64url');
    const good = more.length === 0 && (alg === 'HS256'
        ? crypto.createHmac('sha256', Buffer.from(jwk.k, 'base64url'))
            .update(text).digest().equals(bytes)
        : crypto.verify('sha256', Buffer.from(text),
                        { key: crypto.createPublicKey({ key: jwk,
                                                        format: 'jwk' }),
                          dsaEncoding: 'ieee-p1363' }, bytes));
    const [h, p] = [header, payload].map(
        (part) => JSON.parse(Buffer.from(part, 'base64url')));
    return good ? { header: h, payload: p } : null;
}

const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answer = asked.sign
    ? asked.sign.map(sign)
    : asked.verify ? asked.verify.map(verified)
    : Object.fromEntries(Object.entries(asked.keys)
                         .map(([name, kind]) => [name, generate(kind)]));
process.stdout.write(JSON.stringify(answer));
