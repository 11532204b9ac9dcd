# The first caller starts it, nobody is asked for a PIN; when the last one leaves it is over.
rule: anonymous start
0.0 ben dials
0.5 ben talks
1.0 ben enters 1234567#
5.0 cara dials
5.5 cara talks
6.0 cara enters 1234567#
10.0 ben leaves
12.0 cara leaves
14.0 dora dials
15.0 dora enters 1234567#
20.0 dora leaves
---
     0.000  ben: Dial
     0.060  ben hears Prompt(Welcome)
     0.240  ben hears Prompt(EnterConferenceId)
     0.440  ben hears Silence
     0.500  ben: Talk
     2.246  meeting-1 Opened { conference_id: 1234567, organizer: "organizer0@example.com" }
     2.246  meeting-1 Started { by: AnonymousCaller, admitted: 1 }
     2.246  ben EnteredMeeting { meeting: meeting-1, leader: false }
     5.000  cara: Dial
     5.060  cara hears Prompt(Welcome)
     5.240  cara hears Prompt(EnterConferenceId)
     5.440  cara hears Silence
     5.500  cara: Talk
     7.255  cara EnteredMeeting { meeting: meeting-1, leader: false }
     7.260  cara hears ben
     7.360  ben hears cara
     7.420  ben hears a fade
     7.440  ben hears Silence
     7.560  ben hears cara
    10.000  ben: HangUp
    10.020  cara hears a fade
    10.040  cara hears Silence
    12.000  cara: HangUp
    12.010  meeting-1 Over
    12.010  meeting-1 Closed
    14.000  dora: Dial
    14.060  dora hears Prompt(Welcome)
    14.240  dora hears Prompt(EnterConferenceId)
    14.440  dora hears Silence
    16.223  meeting-2 Opened { conference_id: 1234567, organizer: "organizer0@example.com" }
    16.223  meeting-2 Started { by: AnonymousCaller, admitted: 1 }
    16.223  dora EnteredMeeting { meeting: meeting-2, leader: false }
    20.000  dora: HangUp
    20.010  meeting-2 Over
    20.010  meeting-2 Closed
