// A mockttp proxy that passes everything on. Arguments: the installation, host's port,
// folder for ca.pem, file with the CA to trust for origins. Prints "ready" when it is.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const [installation, port, folder, originCa] = process.argv.slice(2);
const mockttp = require(path.join(path.resolve(installation), 'node_modules', 'mockttp'));

async function main() {
    const ca = await mockttp.generateCACertificate({
        subject: { commonName: 'mockttp benchmark CA' },
    });
    fs.writeFileSync(path.join(folder, 'ca.pem'), ca.cert);
    const server = mockttp.getLocal({
        https: { key: ca.key, cert: ca.cert },
        http2: true,
        // It would keep every exchange in memory for a test to ask for.
        recordTraffic: false,
    });
    const options = { additionalTrustedCAs: [{ certPath: originCa }] };
    await server.forAnyRequest().thenPassThrough(options);
    await server.forAnyWebSocket().thenPassThrough(options);
    await server.start(Number(port));
    console.log('ready');
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
