# The leader leaves and the meeting goes on, until the last one leaves it; the next one waits for a leader.
0.0 anna dials
1.0 anna enters 1234567#
3.0 anna enters *86420#
6.0 ben dials
6.5 ben talks
7.0 ben enters 1234567#
10.0 anna leaves
12.0 cara dials
12.5 cara talks
13.0 cara enters 1234567#
17.0 ben leaves
19.0 cara leaves
21.0 dora dials
22.0 dora enters 1234567#
32.0 dora leaves
---
     0.000  anna: Dial
     0.060  anna hears Prompt(Welcome)
     0.240  anna hears Prompt(EnterConferenceId)
     0.440  anna hears Silence
     2.246  meeting-1 Opened { conference_id: 1234567, organizer: "organizer0@example.com" }
     2.246  anna OrganizerAsked
     2.280  anna hears Prompt(OrganizerQuestion)
     2.460  anna hears Silence
     3.020  anna PinAsked
     3.060  anna hears Prompt(EnterPin)
     3.240  anna hears Silence
     4.257  anna PinRight
     4.257  meeting-1 Started { by: LeaderPin, admitted: 1 }
     4.257  anna EnteredMeeting { meeting: meeting-1, leader: true }
     6.000  ben: Dial
     6.060  ben hears Prompt(Welcome)
     6.240  ben hears Prompt(EnterConferenceId)
     6.440  ben hears Silence
     6.500  ben: Talk
     8.235  ben EnteredMeeting { meeting: meeting-1, leader: false }
     8.360  anna hears ben
     8.420  anna hears a fade
     8.440  anna hears Silence
     8.560  anna hears ben
    10.000  anna: HangUp
    12.000  cara: Dial
    12.060  cara hears Prompt(Welcome)
    12.240  cara hears Prompt(EnterConferenceId)
    12.440  cara hears Silence
    12.500  cara: Talk
    14.223  cara EnteredMeeting { meeting: meeting-1, leader: false }
    14.240  cara hears ben
    14.360  ben hears cara
    14.420  ben hears a fade
    14.440  ben hears Silence
    14.560  ben hears cara
    17.000  ben: HangUp
    17.020  cara hears a fade
    17.040  cara hears Silence
    19.000  cara: HangUp
    19.010  meeting-1 Over
    19.010  meeting-1 Closed
    21.000  dora: Dial
    21.060  dora hears Prompt(Welcome)
    21.240  dora hears Prompt(EnterConferenceId)
    21.440  dora hears Silence
    23.247  meeting-2 Opened { conference_id: 1234567, organizer: "organizer0@example.com" }
    23.247  dora OrganizerAsked
    23.280  dora hears Prompt(OrganizerQuestion)
    23.460  dora hears Silence
    28.460  dora WaitsForStart { meeting: meeting-2 }
    28.480  dora hears Prompt(PleaseWaitForOrganizer)
    28.680  dora hears Music
    32.000  dora: HangUp
    32.010  meeting-2 Closed
