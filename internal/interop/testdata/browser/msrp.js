// A client of MSRP in WebSocket (RFC 7977), of what the browser has alone. It is told what to do by the
// test, and tells it what happened; see browser.go.
let told = Promise.resolve(); // one after the other, so that the order stays
const tell = (type, param = '', peerURI = '') => {
  const body = JSON.stringify({ type, param: String(param), peerURI: String(peerURI) });
  told = told.then(() => fetch('/event', { method: 'POST', body }));
};
window.addEventListener('unhandledrejection', (e) => tell('error', e.reason));
window.addEventListener('error', (e) => tell('error', e.message));

// RFC 1321, as crypto.subtle does not know it.
function md5(text) {
  const bytes = [...new TextEncoder().encode(text)];
  const bits = 8 * bytes.length;
  bytes.push(0x80);
  while (bytes.length % 64 !== 56) bytes.push(0);
  for (let i = 0; i < 8; i++) bytes.push(i < 4 ? (bits >>> (8 * i)) & 255 : 0);
  const shifts = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < bytes.length; at += 64) {
    const word = (k) => [3, 2, 1, 0].reduce((w, i) => (w << 8) | bytes[at + 4 * k + i], 0);
    let [a, b, c, d] = state;
    for (let i = 0; i < 64; i++) {
      const [f, k] = [
        [(b & c) | (~b & d), i],
        [(d & b) | (~d & c), 5 * i + 1],
        [b ^ c ^ d, 3 * i + 5],
        [c ^ (b | ~d), 7 * i],
      ][i >> 4];
      const sum = (a + f + word(k % 16) + Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1)))) | 0;
      const s = shifts[i >> 4][i % 4];
      [a, b, c, d] = [d, (b + ((sum << s) | (sum >>> (32 - s)))) | 0, b, c];
    }
    state = [a, b, c, d].map((v, i) => (v + state[i]) | 0);
  }
  const hex = (w) => [0, 8, 16, 24].map((s) => ((w >>> s) & 255).toString(16).padStart(2, '0')).join('');
  return state.map(hex).join('');
}

let socket, relay, user, password, own, use;
let count = 0;

function request(method, to, fields, body) {
  const id = 'page' + ++count;
  const head = [`MSRP ${id} ${method}`, `To-Path: ${to}`, `From-Path: ${own}`, ...fields];
  if (body !== undefined) head.push('', body);
  socket.send(head.join('\r\n') + `\r\n-------${id}$\r\n`);
}

function received(text) {
  const [head, ...rest] = text.split('\r\n\r\n');
  const [start, ...lines] = head.split('\r\n');
  const [, id, what] = start.split(' ');
  const field = (name) => (lines.find((l) => l.startsWith(name + ': ')) || '').slice(name.length + 2);
  if (what === '401') {
    const asked = (name) => field('WWW-Authenticate').match(new RegExp(name + '="([^"]*)"'))[1];
    const secret = md5(`${user}:${asked('realm')}:${password}`);
    const response = md5(`${secret}:${asked('nonce')}:00000001:c0ffee:auth:${md5(`AUTH:${relay}`)}`);
    request('AUTH', relay, [`Authorization: Digest username="${user}", realm="${asked('realm')}", nonce="${asked('nonce')}", ` +
      `uri="${relay}", response="${response}", qop=auth, nc=00000001, cnonce="c0ffee"`]);
  } else if (field('Use-Path')) {
    use = field('Use-Path');
    tell('path', `${use} ${own}`);
  } else if (what === 'SEND') {
    const [hop] = field('From-Path').split(' ');
    socket.send(`MSRP ${id} 200 OK\r\nTo-Path: ${hop}\r\nFrom-Path: ${own}\r\n-------${id}$\r\n`);
    const body = rest.join('\r\n\r\n').split(`\r\n-------${id}`)[0];
    if (rest.length === 0) return;
    tell('message', body, field('From-Path'));
    if (field('Success-Report') === 'yes') {
      request('REPORT', field('From-Path'), [`Message-ID: ${field('Message-ID')}`, `Byte-Range: 1-${body.length}/${body.length}`, 'Status: 000 200 OK']);
    }
  } else if (what === 'REPORT') {
    tell('reported', field('Status'));
  } else {
    tell('delivered', what);
  }
}

const commands = {
  start({ server, uri, user: name, password: secret }) {
    [relay, user, password] = [uri, name, secret];
    own = `${relay.split(':')[0]}://${user}.invalid:9/${crypto.getRandomValues(new Uint32Array(4)).join('')};ws`;
    socket = new WebSocket(server, 'msrp');
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      tell('connected', socket.protocol);
      request('AUTH', relay, []);
    };
    socket.onclose = (e) => tell('disconnected', e.code);
    socket.onmessage = (e) => received(typeof e.data === 'string' ? e.data : new TextDecoder().decode(e.data));
  },
  message({ to, text }) {
    request('SEND', `${use} ${to}`, ['Message-ID: ' + 'message' + ++count, `Byte-Range: 1-${text.length}/${text.length}`, 'Success-Report: yes', 'Content-Type: text/plain'], text);
  },
  stop() { socket.close(); },
};

new EventSource('/commands').onmessage = (e) => {
  const command = JSON.parse(e.data);
  commands[command.do](command);
};
