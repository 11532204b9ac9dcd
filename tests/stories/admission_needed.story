# A started meeting takes nobody in unasked: the leader admits with *8.
rule: admission needed
0.0 ben dials
0.5 ben talks
1.0 ben enters 1234567#
4.0 anna dials
4.5 anna talks
5.0 anna enters 1234567#
7.0 anna enters *86420#
11.0 anna enters *8
16.0 cara dials
17.0 cara enters 1234567#
22.0 ben leaves
23.0 anna enters **
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
     8.235  meeting-1 Started { by: LeaderPin, admitted: 1 }
     8.235  anna EnteredMeeting { meeting: meeting-1, leader: true }
     8.235  ben AwaitsAdmission { meeting: meeting-1 }
     8.260  ben hears Prompt(PleaseWaitForAdmission)
     8.460  ben hears Music
    11.220  ben EnteredMeeting { meeting: meeting-1, leader: false }
    11.240  ben hears a fade
    11.240  anna hears ben
    11.260  ben hears Silence
    11.360  ben hears anna
    16.000  cara: Dial
    16.060  cara hears Prompt(Welcome)
    16.240  cara hears Prompt(EnterConferenceId)
    16.440  cara hears Silence
    18.226  cara AwaitsAdmission { meeting: meeting-1 }
    18.260  cara hears Prompt(PleaseWaitForAdmission)
    18.460  cara hears Music
    22.000  ben: HangUp
    22.020  anna hears a fade
    22.040  anna hears Silence
    23.220  meeting-1 Ended { why: Ended }
    23.220  meeting-1 Closed
    23.260  anna hears Prompt(MeetingEnded)
    23.260  cara hears Prompt(MeetingEnded)
    23.440  anna hears Prompt(Goodbye)
    23.440  cara hears Prompt(Goodbye)
    23.640  anna hears Silence
    23.640  cara hears Silence
    23.640  anna HangingUp { why: MeetingEnded(Ended) }
    23.640  cara HangingUp { why: MeetingEnded(Ended) }
