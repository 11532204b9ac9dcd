# Two wait with music, the leader comes last: all three are in it at the same tick.
0.0 ben dials
0.5 ben talks
1.0 ben enters 1234567#
4.0 cara dials
4.5 cara talks
5.0 cara enters 1234567#
14.0 anna dials
14.5 anna talks
15.0 anna enters 1234567#
17.0 anna enters *86420#
22.0 anna leaves
24.0 ben leaves
26.0 cara leaves
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
     4.000  cara: Dial
     4.060  cara hears Prompt(Welcome)
     4.240  cara hears Prompt(EnterConferenceId)
     4.440  cara hears Silence
     4.500  cara: Talk
     6.222  cara OrganizerAsked
     6.260  cara hears Prompt(OrganizerQuestion)
     6.440  cara hears Silence
     7.460  ben WaitsForStart { meeting: meeting-1 }
     7.480  ben hears Prompt(PleaseWaitForOrganizer)
     7.680  ben hears Music
    11.440  cara WaitsForStart { meeting: meeting-1 }
    11.460  cara hears Prompt(PleaseWaitForOrganizer)
    11.660  cara hears Music
    14.000  anna: Dial
    14.060  anna hears Prompt(Welcome)
    14.240  anna hears Prompt(EnterConferenceId)
    14.440  anna hears Silence
    14.500  anna: Talk
    16.232  anna OrganizerAsked
    16.280  anna hears Prompt(OrganizerQuestion)
    16.460  anna hears Silence
    17.020  anna PinAsked
    17.060  anna hears Prompt(EnterPin)
    17.240  anna hears Silence
    18.226  anna PinRight
    18.226  meeting-1 Started { by: LeaderPin, admitted: 3 }
    18.226  ben EnteredMeeting { meeting: meeting-1, leader: false }
    18.226  cara EnteredMeeting { meeting: meeting-1, leader: false }
    18.226  anna EnteredMeeting { meeting: meeting-1, leader: true }
    18.240  ben hears a fade
    18.240  cara hears ben
    18.240  anna hears ben and cara
    18.260  ben hears cara
    18.360  ben hears cara and anna
    18.360  cara hears ben and anna
    22.000  anna: HangUp
    22.020  ben hears cara
    22.020  cara hears ben
    24.000  ben: HangUp
    24.020  cara hears a fade
    24.040  cara hears Silence
    26.000  cara: HangUp
    26.010  meeting-1 Over
    26.010  meeting-1 Closed
