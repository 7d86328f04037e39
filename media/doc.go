// Package media is RTP audio for telephone calls: it plays, records, and sends
// and hears DTMF digits, without a sound card.
//
// Think of an [Audio] as one m= section of a session. It describes itself,
// agrees with the peer's description, and then runs: what it plays is a
// [Source], what it hears goes to a [Sink], both of mono samples at
// [SampleRate]. It knows nothing of SIP. Whoever has two descriptions drives
// it, with four methods: Offer, Answer, Update and Close. A source is a tone,
// a WAV file in memory, or whatever has ReadSamples; a sink is a WAV file, a
// [Recorder], or whatever has WriteSamples.
//
//	prompt, err := media.OpenWAV("hello.wav")
//	...
//	record, err := media.CreateWAV("call.wav")
//	...
//	defer record.Close()
//	audio := media.NewAudio(&media.AudioConfig{Play: prompt.Loop(), Record: record})
//
// An answering machine is the same stream, played to and listened to:
//
//	err := audio.Play(ctx, prompt.Once()) // returns when it was played
//	for digit, err := range audio.Digits(ctx) { ... }
//
// Media is sent to where the peer says until its first packets come, and then
// to where they come from, so that peers behind a NAT are heard; see
// [LatchPolicy] for whom is believed. Everything that arrives is bounded in
// size and time, checked, and counted in [Stats] if it is dropped.
//
// Implemented: RTP and RTCP (RFC 3550, with the audio profile of RFC 3551),
// telephone events (RFC 4733), symmetric RTP (RFC 4961), the rtcp attribute
// (RFC 3605), RTCP names (RFC 7022), G.711 (ITU-T), WAV files (RFC 2361).
//
// It does not encrypt (SRTP), do ICE, share one port for RTP and RTCP
// (RFC 5761), send comfort noise or video, hide losses by more than silence,
// or resolve host names in descriptions.
package media
