# Without the leader all are back in the lobby, with music; he returns, and they are in it again.
leader leaves: back to lobby
0.0 ben dials
0.5 ben talks
1.0 ben enters 1234567#
4.0 anna dials
4.5 anna talks
5.0 anna enters 1234567#
7.0 anna enters *86420#
12.0 anna leaves
18.0 dora dials
18.5 dora talks
19.0 dora enters 1234567#
21.0 dora enters *86420#
26.0 dora leaves
28.0 ben leaves
---
     0.000  ben: Dial
     0.060  ben hears Prompt(Welcome)
     0.240  ben hears Prompt(EnterConferenceId)
     0.440  ben hears Silence
     0.500  ben: Talk
     2.246  meeting-1 Opened { conference_id: 1234567, organizer: "organizer0@example.com" }
     2.246  ben OrganizerAsked
     2.280  ben hears Prompt(OrganizerQuestion)
     2.460  ben hears Silence
     4.000  anna: Dial
     4.060  anna hears Prompt(Welcome)
     4.240  anna hears Prompt(EnterConferenceId)
     4.440  anna hears Silence
     4.500  anna: Talk
     6.222  anna OrganizerAsked
     6.260  anna hears Prompt(OrganizerQuestion)
     6.440  anna hears Silence
     7.020  anna PinAsked
     7.060  anna hears Prompt(EnterPin)
     7.240  anna hears Silence
     7.460  ben WaitsForStart { meeting: meeting-1 }
     7.480  ben hears Prompt(PleaseWaitForOrganizer)
     7.680  ben hears Music
     8.235  anna PinRight
     8.235  meeting-1 Started { by: LeaderPin, admitted: 2 }
     8.235  ben EnteredMeeting { meeting: meeting-1, leader: false }
     8.235  anna EnteredMeeting { meeting: meeting-1, leader: true }
     8.240  ben hears a fade
     8.240  anna hears a fade
     8.260  ben hears Silence
     8.260  anna hears ben
     8.360  ben hears anna
    12.000  anna: HangUp
    12.010  meeting-1 Over
    12.010  ben WaitsForStart { meeting: meeting-1 }
    12.040  ben hears Prompt(PleaseWaitForOrganizer)
    12.240  ben hears Music
    18.000  dora: Dial
    18.060  dora hears Prompt(Welcome)
    18.240  dora hears Prompt(EnterConferenceId)
    18.440  dora hears Silence
    18.500  dora: Talk
    20.235  dora OrganizerAsked
    20.280  dora hears Prompt(OrganizerQuestion)
    20.460  dora hears Silence
    21.020  dora PinAsked
    21.060  dora hears Prompt(EnterPin)
    21.240  dora hears Silence
    22.229  dora PinRight
    22.229  meeting-1 Started { by: LeaderPin, admitted: 2 }
    22.229  ben EnteredMeeting { meeting: meeting-1, leader: false }
    22.229  dora EnteredMeeting { meeting: meeting-1, leader: true }
    22.240  ben hears a fade
    22.240  dora hears ben
    22.260  ben hears Silence
    22.360  ben hears dora
    26.000  dora: HangUp
    26.010  meeting-1 Over
    26.010  ben WaitsForStart { meeting: meeting-1 }
    26.040  ben hears Prompt(PleaseWaitForOrganizer)
    26.240  ben hears Music
    28.000  ben: HangUp
    28.010  meeting-1 Closed
