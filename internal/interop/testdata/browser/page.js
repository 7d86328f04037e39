// A telephone made of JsSIP. It is told what to do by the test, and tells it
// what happened; see browser.go.
const JsSIP = require('jssip');

let told = Promise.resolve(); // one after the other, so that the order stays
const tell = (type, param = '', peerURI = '') => {
  const body = JSON.stringify({ type, param: String(param), peerURI: String(peerURI) });
  told = told.then(() => fetch('/event', { method: 'POST', body }));
};
window.addEventListener('unhandledrejection', (e) => tell('error', e.reason));
window.addEventListener('error', (e) => tell('error', e.message));

let ua;
const commands = {
  start({ server, uri, user, password }) {
    ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(server)],
      uri, password, authorization_user: user, register_expires: 600,
    });
    ua.on('connected', () => tell('connected'));
    ua.on('disconnected', (e) => tell('disconnected', e.code || e.reason));
    ua.on('registered', (e) => tell('registered', e.response.toString()));
    ua.on('unregistered', (e) => tell('unregistered', e.cause));
    ua.on('registrationFailed', (e) => tell('registrationFailed', e.response ? e.response.status_code : e.cause));
    ua.on('newMessage', (e) => {
      if (e.originator === 'remote') tell('message', e.request.body, e.request.from.uri);
    });
    ua.on('newRTCSession', (e) => {
      const { session, originator, request } = e;
      session.on('failed', (f) => tell('callFailed', f.message && f.message.status_code || f.cause));
      // Where there is no network there is never a candidate, and JsSIP waits
      // for one.
      const pc = session.connection;
      if (pc) pc.addEventListener('icegatheringstatechange', () => setTimeout(() => pc.dispatchEvent(
        new RTCPeerConnectionIceEvent('icecandidate', { candidate: new RTCIceCandidate({ candidate: '', sdpMid: '0' }) })), 100));
      session.on('icecandidate', (c) => c.ready());
      if (originator !== 'remote') return;
      tell('call', request.method, request.from.uri);
      session.terminate({ status_code: 486 });
    });
    ua.start();
  },
  call({ to }) {
    // No microphone: an offer to listen.
    ua.call(to, { mediaConstraints: {}, rtcOfferConstraints: { offerToReceiveAudio: true } });
  },
  message({ to, text }) {
    ua.sendMessage(to, text, {
      eventHandlers: {
        succeeded: (e) => tell('delivered', e.response.status_code, to),
        failed: (e) => tell('undelivered', e.response ? e.response.status_code : e.cause, to),
      },
    });
  },
  unregister() { ua.unregister(); },
  stop() { ua.stop(); },
};

new EventSource('/commands').onmessage = (e) => {
  const command = JSON.parse(e.data);
  commands[command.do](command);
};
