# The leader comes first: who comes later hears no music and is asked for no PIN.
0.0 anna dials
0.5 anna talks
1.0 anna enters 1234567#
3.0 anna enters *86420#
8.0 ben dials
8.5 ben talks
9.0 ben enters 1234567#
14.0 ben leaves
15.0 anna leaves
---
     0.000  anna: Dial
     0.060  anna hears Prompt(Welcome)
     0.240  anna hears Prompt(EnterConferenceId)
     0.440  anna hears Silence
     0.500  anna: Talk
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
     8.000  ben: Dial
     8.060  ben hears Prompt(Welcome)
     8.240  ben hears Prompt(EnterConferenceId)
     8.440  ben hears Silence
     8.500  ben: Talk
    10.234  ben EnteredMeeting { meeting: meeting-1, leader: false }
    10.240  ben hears anna
    10.360  anna hears ben
    10.420  anna hears a fade
    10.440  anna hears Silence
    10.560  anna hears ben
    14.000  ben: HangUp
    14.020  anna hears a fade
    14.040  anna hears Silence
    15.000  anna: HangUp
    15.010  meeting-1 Over
    15.010  meeting-1 Closed
