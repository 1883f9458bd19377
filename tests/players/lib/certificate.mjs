// What Chromium has to know of a server whose certificate nobody vouches for.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';

/** The SHA-256 of the public key that the server at ADDRESS:PORT presents, as Chromium wants it. */
export async function keyOf(authority) {
  const [host, port] = authority.split(':');
  const socket = connect({ host, port: Number(port), servername: 'localhost', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const key = socket.getPeerX509Certificate().publicKey.export({ type: 'spki', format: 'der' });
  socket.destroy();
  return createHash('sha256').update(key).digest('base64');
}
